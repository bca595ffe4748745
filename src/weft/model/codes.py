"""Every code of a problem: what it means, why weft refuses, what to do. `weft explain` and docs/errors.md are made from this.

`wrong` is a file with this problem and `right` the same file without it: tests load both, so that they stay true.
All of them are for the author of the file to fix: a command that meets one has run nothing and exits with 2.
Numbers: W1 the text of a file, W2 its keys and values, W3 its names, W4 recorded traces, W6 files in Lua, W7 those of PML, W9
YAML workflows. A number never changes its meaning.
"""

from weft.model.agent_codes import AGENT_CODES
from weft.model.code import Code as Code
from weft.model.evolver_codes import EVOLVER_CODES
from weft.model.ghyaml_codes import GHYAML_CODES
from weft.model.hwfe_codes import HWFE_CODES
from weft.model.pml_codes import PML_CODES
from weft.model.tool_codes import TOOL_CODES

_HELLO = "steps:\n  hello:\n    run: echo hello\n"

CODES: dict[str, Code] = {
    # ---- the file, and its text ----
    "W101": Code(
        "there is no such file",
        "Nothing exists under the name that was given. A relative name is looked up from the current folder.",
        "Check the spelling and the folder; `weft -C DIR` starts in another one.",
    ),
    "W102": Code(
        "this is not a file",
        "A workflow is read from a regular file or a pipe, but this is a folder or a device.",
        "Name the file inside the folder.",
    ),
    "W103": Code(
        "the file cannot be read",
        "The operating system does not let weft read the file; the message says why.",
        "Give yourself the permission (`chmod u+r FILE`), or ask its owner.",
    ),
    "W104": Code(
        "the file is too large",
        "A limit on size is checked before anything is built from a file, so that a wrong file cannot use up the memory.",
        "Raise it with `--size-max 2GB`. YAML has a lower limit than JSON because it takes much longer to read.",
    ),
    "W105": Code(
        "the compressed file is damaged",
        "The name ends in `.xz`, but the content cannot be decompressed: it was cut, or is something else.",
        "Fetch the file again, or check it with `xz -t FILE`.",
    ),
    "W106": Code(
        "the file is not UTF-8 text",
        "weft reads UTF-8 only. Guessing another encoding would now and then change a character silently.",
        "Convert it, as in `iconv -f UTF-16 -t UTF-8 old.yaml > new.yaml`, or unpack the archive first.",
    ),
    "W107": Code(
        "a control character stands in the file",
        "NUL, escape and the like have no place in a text file; most often they come from a damaged or binary file.",
        'Delete the character. Inside double quotes it can be written as an escape: `"\\x1b"`.',
    ),
    "W108": Code(
        "the file is empty",
        "There is nothing in it, or nothing but comments.",
        "Write at least one step.",
        "# steps will follow\n",
        _HELLO,
    ),
    "W110": Code(
        "the YAML cannot be read",
        "The text breaks a rule of YAML. What comes after the place cannot be trusted, so only the first such mistake is told.",
        "Look at the place and the line above it: mostly it is indentation, an open quote or bracket, or a `: ` inside a text "
        "that needs quotes.",
        "steps:\n  hello:\n    run: echo time: 5\n",
        'steps:\n  hello:\n    run: "echo time: 5"\n',
    ),
    "W111": Code(
        "the JSON cannot be read",
        "The text breaks a rule of JSON. There are no comments, no trailing commas and no single quotes in JSON.",
        "Correct the place, or write the file as YAML (`.yaml`), which is more lenient.",
        '{"steps": {"hello": {"run": "echo hello",}}}\n',
        '{"steps": {"hello": {"run": "echo hello"}}}\n',
    ),
    "W112": Code(
        "the file holds more than one document",
        "A line `---` begins another YAML document. One file is one workflow.",
        "Keep one document in the file.",
        _HELLO + "---\n" + _HELLO,
        _HELLO,
    ),
    "W113": Code(
        "tabs and spaces are mixed in the indentation",
        "YAML is indented with spaces. weft also accepts files that use leading tabs alone, but in a mixture it depends on the "
        "width of a tab what belongs to what.",
        "Indent with spaces only.",
        "steps:\n\ta:\n\t\trun: echo a\n  b:\n    run: echo b\n",
        "steps:\n  a:\n    run: echo a\n  b:\n    run: echo b\n",
    ),
    "W114": Code(
        "the file is nested too deeply",
        "Mappings and lists inside each other, more levels than anybody writes by hand. The limit protects all programs that "
        "will handle the data.",
        "Keep deep data in a file of its own that a step reads.",
    ),
    "W115": Code(
        "the aliases stand for too many values",
        "An alias (`*name`) repeats what an anchor (`&name`) marks. A few lines can stand for billions of values in this way.",
        "Write out what you need, or build the file with a program.",
    ),
    "W116": Code(
        "an alias means nothing",
        "`*name` repeats the value that `&name` marked before it in the file. Here nothing was marked, or the value would "
        "contain itself. A text that only begins with `*` needs quotes.",
        "Mark a value with `&name` before the alias, or quote the text.",
        "steps:\n  a:\n    run: echo a\n    env: *common\n",
        "steps:\n  a:\n    run: echo a\n    env: &common { LANG: C }\n  b:\n    run: echo b\n    env: *common\n",
    ),
    "W117": Code(
        "a YAML tag is not allowed",
        "Tags (`!name`, `!!type`) ask the reader to build something special. weft builds plain values only.",
        "Remove the tag. Quotes make a text of anything; a text that begins with `!` needs them.",
        "steps:\n  hello:\n    run: !!str echo hello\n",
        _HELLO,
    ),
    "W118": Code(
        "merge keys are not part of YAML 1.2",
        "`<<` was an extension of YAML 1.1; what it does with keys that occur twice differs between programs.",
        "Use `defaults:` for what all steps share, or an alias for a whole value.",
        "steps:\n  a: &a\n    run: echo a\n  b:\n    <<: *a\n    run: echo b\n",
        "defaults:\n  timeout: 5m\nsteps:\n  a:\n    run: echo a\n  b:\n    run: echo b\n",
    ),
    "W119": Code(
        "a name is given twice",
        "A key occurs twice in one mapping, or a step id twice in a list. Most programs keep one of the two silently.",
        "Remove one, or give it another name.",
        "steps:\n  a:\n    run: echo 1\n  a:\n    run: echo 2\n",
        "steps:\n  a:\n    run: echo 1\n  b:\n    run: echo 2\n",
    ),
    "W120": Code(
        "a key must be a text",
        "A key is empty, or is itself a list or a mapping. This is what YAML makes of `{{ x }}` without quotes.",
        "Give it a name, or put the value in quotes.",
        "steps:\n  a:\n    run: echo a\n    with: { x: {{ day }} }\n",
        'steps:\n  a:\n    run: echo a\n    with: { x: "{{ day }}" }\n',
    ),
    "W121": Code(
        "the number cannot be carried",
        "Values travel as JSON, which has no infinity, and whole numbers must fit 64 bits, or other programs would change them.",
        "Put it in quotes to make it a text.",
        "steps:\n  a:\n    run: echo a\n    with: { x: .inf }\n",
        'steps:\n  a:\n    run: echo a\n    with: { x: "inf" }\n',
    ),
    "W122": Code(
        "this is no workflow",
        "The content is in none of the formats that weft knows: the native one has a key `steps`, WfFormat has `workflow`.",
        "Check that it is the right file. `--format` names the format when the content does not tell.",
        "jobs:\n  hello:\n    run: echo hello\n",
        _HELLO,
    ),
    "W199": Code(
        "more problems are not listed",
        "The list of problems is cut after a thousand.",
        "Correct those that are listed and check again.",
    ),
    # ---- keys and values ----
    "W201": Code(
        "there is no such key",
        "A key that weft does not know would have no effect, which is rarely what was meant.",
        "Correct the spelling; the reference of the file format lists all keys.",
        "steps:\n  a:\n    run: echo a\n    timout: 5m\n",
        "steps:\n  a:\n    run: echo a\n    timeout: 5m\n",
    ),
    "W202": Code(
        "a value of the wrong type",
        'A text where a number is expected, a single value where a list is, and so on. weft does not convert: `"false"` is a '
        "text, and `1.10` as a number is `1.1`.",
        "Write the value in the type that is asked for. In YAML, quotes make a text of anything.",
        'steps:\n  a:\n    run: echo a\n    priority: "5"\n',
        "steps:\n  a:\n    run: echo a\n    priority: 5\n",
    ),
    "W203": Code(
        "something is missing",
        "A key that must be there is not. A step must say what it does: `run`, `python` or `sleep`. A pool must limit something: "
        "`slots`, `rate` or `breaker`.",
        "Add it.",
        "steps:\n  a:\n    timeout: 5m\n",
        "steps:\n  a:\n    run: echo a\n    timeout: 5m\n",
    ),
    "W204": Code(
        "not supported by this version",
        "The key belongs to the file format, but this version of weft cannot do it yet. To ignore it would be wrong.",
        "Remove it, or use a newer version.",
        "deadline: 1h\nsteps:\n  a:\n    run: echo hello\n",
        "timeout: 1h\nsteps:\n  a:\n    run: echo hello\n",
    ),
    "W205": Code(
        "a value that is not allowed",
        "The type is right, but the value is not: a word that is none of the choices, a number out of range, an unknown unit, "
        "an empty text.",
        "Use one of the values in the hint.",
        "steps:\n  a:\n    run: echo a\n    timeout: 5 minutes\n",
        "steps:\n  a:\n    run: echo a\n    timeout: 5m\n",
    ),
    "W206": Code(
        "this cannot be a name",
        "Ids of steps and names of inputs and pools appear in expressions, file names and commands: letters, digits, `_` and "
        "`-`, not beginning with a digit or `-`. Names with `/` and `[` are made by weft itself.",
        "Choose another name; `title` may hold any text.",
        "steps:\n  build/web:\n    run: make\n",
        "steps:\n  build-web:\n    run: make\n",
    ),
    "W207": Code(
        "two keys that exclude each other",
        "A step does one thing, and a key can be written in one way only.",
        "Keep one, or make two steps.",
        "steps:\n  a:\n    run: echo a\n    sleep: 1s\n",
        "steps:\n  a:\n    run: echo a; sleep 1\n",
    ),
    "W208": Code(
        "an expression in code",
        "`${{ }}` is for data. Text that is inserted into a script becomes a part of the program: a value with a quote in it "
        "would break it, and a hostile one could do anything.",
        "Pass the value with `with`: a script finds it in its environment, Python gets it as an argument. `$${{` stands for "
        "the text `${{`.",
        'inputs:\n  day: { default: "2026-01-31" }\nsteps:\n  a:\n    run: echo ${{ inputs.day }}\n',
        'inputs:\n  day: { default: "2026-01-31" }\nsteps:\n  a:\n    run: echo "$day"\n    with: { day: "${{ inputs.day }}" }\n',
    ),
    "W209": Code(
        "an expression where none is evaluated",
        "`${{ }}` is evaluated in data only: `with`, `env`, `if`, `run` as a list, `per` of a pool, and `outputs`. Everything "
        "else must be known before the run starts, so that it can be checked and planned.",
        "Write the value out.",
        'inputs:\n  limit: { default: 5m }\nsteps:\n  a:\n    run: echo a\n    title: "${{ inputs.limit }}"\n',
        "steps:\n  a:\n    run: echo a\n    title: limit\n",
    ),
    "W210": Code(
        "the expression cannot be read",
        "The language between `${{` and `}}` is small: paths, comparisons, `&&`, `||`, `!`, `a ? b : c` and a few functions. "
        "There is no arithmetic.",
        "Correct the expression; compute in a step what it cannot say.",
        "steps:\n  a:\n    run: echo a\n  b:\n    run: echo b\n    if: steps.a.output = 'a'\n",
        "steps:\n  a:\n    run: echo a\n  b:\n    run: echo b\n    if: steps.a.output == 'a'\n",
    ),
    "W211": Code(
        "the Python code cannot be read",
        "The code is parsed, not run, when the file is loaded, so that a slip shows before hours of other steps.",
        "Correct the code at the place.",
        "steps:\n  a:\n    python: |\n      def run():\n          return (1\n",
        "steps:\n  a:\n    python: |\n      def run():\n          return 1\n",
    ),
    "W212": Code(
        "the Python code does not define `run`",
        "weft calls `run` with the values of `with` and takes what it returns as the output.",
        "Put the code into `def run(…):`, or name a function: `python: module:function`.",
        "steps:\n  a:\n    python: print(42)\n",
        'steps:\n  a:\n    python: "def run(): return 42"\n',
    ),
    "W213": Code(
        "a variable that cannot be set",
        "What a step gets from `env`, `with` and `secrets` becomes environment variables. Each can be set once, weft sets some "
        "itself, and a script can only read those whose names have letters, digits and `_`.",
        "Choose another name.",
        "steps:\n  a:\n    run: echo $first-name\n    with: { first-name: Ada }\n",
        "steps:\n  a:\n    run: echo $first_name\n    with: { first_name: Ada }\n",
    ),
    "W214": Code(
        "a key that says nothing here",
        "The key exists, but has no effect on a step of this kind, or beside the other keys, which is rarely what was meant.",
        "Remove it.",
        "steps:\n  a:\n    sleep: 1s\n    shell: zsh\n",
        "steps:\n  a:\n    sleep: 1s\n",
    ),
    "W215": Code(
        "the values of `with` are not the parameters of `run`",
        "weft calls `run` of the Python code with the values of `with` by name. A parameter without a default that is not given, "
        "or a value that is not a parameter, would fail the step.",
        "Make the keys of `with` and the parameters of `run` the same. `def run(inputs):` takes all values as one mapping.",
        'steps:\n  a:\n    python: "def run(day): return day"\n    with: { day: x, hour: 5 }\n',
        'steps:\n  a:\n    python: "def run(day): return day"\n    with: { day: x }\n',
    ),
    "W216": Code(
        "a value within program text",
        "An argument that a program takes for a program (`sh -c`, `python -c`, `node -e`) is no place for a value: what stands "
        "in the value is run. Everywhere else values stay data.",
        "Let the text name a variable, and give the value to the step as `env`; or give it as an argument of its own.",
        'inputs: { name: { default: world } }\nsteps:\n  a:\n    run: [sh, -c, "echo hello ${{ inputs.name }}"]\n',
        "inputs: { name: { default: world } }\nsteps:\n  a:\n    run: [sh, -c, 'echo hello \"$name\"']\n"
        '    env: { name: "${{ inputs.name }}" }\n',
    ),
    "W231": Code(
        "items that cannot be",
        "A fan-out is done for each item of a list or a mapping, and each instance has a key of its own, a text. What the file "
        "tells can be seen to break that: no list, two equal keys, a `matrix` that does not fit together, more than `items_max`.",
        "Give it a list, a mapping or one whole `${{ }}` that is one, and a `key` that differs from item to item.",
        'inputs: { day: { type: string, default: monday } }\nsteps:\n  a:\n    run: echo a\n    for_each: "${{ inputs.day }}"\n',
        "inputs: { days: { type: list, default: [monday] } }\n"
        'steps:\n  a:\n    run: echo a\n    for_each: "${{ inputs.days }}"\n',
    ),
    "W232": Code(
        "a name for the item that is taken",
        "In expressions the name of an item stands at the beginning of a path. `inputs`, `steps`, `run` and `key` mean something "
        "there already, and words of the language are no names at all.",
        "Choose another name under `as`.",
        "steps:\n  a:\n    run: echo a\n    for_each: [1, 2]\n    as: inputs\n",
        "steps:\n  a:\n    run: echo a\n    for_each: [1, 2]\n    as: number\n",
    ),
    # ---- names ----
    "W301": Code(
        "a need that does not exist",
        "`needs` names a step that is not in the file.",
        "Correct the spelling, add the step, or remove the need.",
        "steps:\n  fetch:\n    run: echo 1\n  load:\n    run: echo 2\n    needs: fecth\n",
        "steps:\n  fetch:\n    run: echo 1\n  load:\n    run: echo 2\n    needs: fetch\n",
    ),
    "W302": Code(
        "a step needs itself",
        "A step cannot wait for its own end, nor use its own output.",
        "Remove the need or the reference.",
        "steps:\n  a:\n    run: echo a\n    needs: a\n",
        "steps:\n  a:\n    run: echo a\n",
    ),
    "W303": Code(
        "steps wait for each other",
        "Each step of the cycle needs the next, and the last the first, so none could ever start. References count as needs.",
        "Remove one of the edges; each is shown with its place.",
        "steps:\n  a:\n    run: echo a\n    needs: b\n  b:\n    run: echo b\n    needs: a\n",
        "steps:\n  a:\n    run: echo a\n  b:\n    run: echo b\n    needs: a\n",
    ),
    "W304": Code(
        "a reference to a step that does not exist",
        "`steps.X` in an expression names a step that is not in the file. It would be an empty value in other tools.",
        "Correct the spelling, or add the step.",
        'steps:\n  fetch:\n    run: echo 1\noutputs: { n: "${{ steps.fetsh.output }}" }\n',
        'steps:\n  fetch:\n    run: echo 1\noutputs: { n: "${{ steps.fetch.output }}" }\n',
    ),
    "W305": Code(
        "a reference to an input that does not exist",
        "`inputs.X` in an expression names an input that is not declared.",
        "Correct the spelling, or declare it under `inputs`.",
        'inputs:\n  day: { default: monday }\nsteps:\n  a:\n    run: echo "$d"\n    with: { d: "${{ inputs.days }}" }\n',
        'inputs:\n  day: { default: monday }\nsteps:\n  a:\n    run: echo "$d"\n    with: { d: "${{ inputs.day }}" }\n',
    ),
    "W306": Code(
        "a path that leads nowhere",
        "A path begins with `inputs`, `steps` or `run`. A step has `output`, `error`, `status` and `took_s`; a run has "
        "`id`, `name` and `started`.",
        "Write the whole path.",
        'steps:\n  fetch:\n    run: echo 1\noutputs: { n: "${{ fetch.output }}" }\n',
        'steps:\n  fetch:\n    run: echo 1\noutputs: { n: "${{ steps.fetch.output }}" }\n',
    ),
    "W307": Code(
        "a pool that does not exist",
        "A step asks for units of a pool that the workflow does not have. Without the pool nothing would be limited.",
        "Correct the spelling, or declare the pool under `resources` of the workflow.",
        "steps:\n  a:\n    run: echo a\n    resources: { database: 1 }\n",
        "resources: { database: 2 }\nsteps:\n  a:\n    run: echo a\n    resources: { database: 1 }\n",
    ),
    "W308": Code(
        "a step asks for more than its pool has",
        "A step takes all the units that it asks for at once, so this one could never start.",
        "Ask for less, or make the pool larger.",
        "resources: { database: 2 }\nsteps:\n  a:\n    run: echo a\n    resources: { database: 3 }\n",
        "resources: { database: 3 }\nsteps:\n  a:\n    run: echo a\n    resources: { database: 3 }\n",
    ),
    "W309": Code(
        "a secret that is not declared",
        "A step names a secret that the workflow does not declare. All secrets are declared at the top, so that a missing one is "
        "noticed before anything starts, and so that no step inherits one by accident.",
        "Declare it under `secrets` of the workflow.",
        "steps:\n  a:\n    run: ./publish\n    secrets: [TOKEN]\n",
        "secrets: [TOKEN]\nsteps:\n  a:\n    run: ./publish\n    secrets: [TOKEN]\n",
    ),
    "W310": Code(
        "a secret cannot be inserted",
        "There is no `secrets` in expressions: what is inserted is journalled, shown, and, in an argument list, visible to every "
        "user of the machine.",
        "Give the secret to the step with `secrets: [NAME]`; the program finds it in its environment.",
        'secrets: [TOKEN]\nsteps:\n  a:\n    run: [curl, -u, "${{ secrets.TOKEN }}", example.com]\n',
        'secrets: [TOKEN]\nsteps:\n  a:\n    run: curl -u "$TOKEN" example.com\n    secrets: [TOKEN]\n',
    ),
    "W311": Code(
        "a default that does not fit",
        "The default or a choice of an input is not of the input's own type, or the default is none of its choices.",
        "Change the value or the type.",
        "inputs:\n  day: { type: string, default: 31 }\n" + _HELLO,
        'inputs:\n  day: { type: string, default: "31" }\n' + _HELLO,
    ),
    "W312": Code(
        "a step that cannot be this fallback",
        "A fallback belongs to one step, whose output it gives, and both stand under `steps`, or both under `finally`.",
        "Write the step twice, or write what is to be done as a mapping under `fallback`.",
        "steps:\n  a: { run: ./a, fallback: c }\n  b: { run: ./b, fallback: c }\n  c: { run: echo none }\n",
        "steps:\n  a: { run: ./a, fallback: { run: echo none } }\n  b: { run: ./b, fallback: { run: echo none } }\n",
    ),
    "W313": Code(
        "a step that cannot be waited for here",
        "A fallback runs only in place of its step, and the steps of `finally` when all others have settled.",
        "Refer to the step that has the fallback. Move the step that waits to `finally`, or remove the need.",
        "steps:\n  a: { run: ./a, fallback: b }\n  b: { run: echo none }\n  c: { run: ./c, needs: b }\n",
        "steps:\n  a: { run: ./a, fallback: b }\n  b: { run: echo none }\n  c: { run: ./c, needs: a }\n",
    ),
    **{code: TOOL_CODES[code] for code in ("W314",)},
    "W320": Code(
        "a plugin that is not installed",
        "A step uses a kind of step that no installed package brings. What is installed is known from the metadata of packages; "
        "nothing of them is run to find out.",
        "Install the package into the environment of weft, or correct the name; `pip show -f PACKAGE` lists what it brings, in "
        "`entry_points.txt` under `weft.kinds`.",
    ),
    "W321": Code(
        "sub-workflows contain each other",
        "The steps of a sub-workflow join those of the file that has it. A file that contains itself, directly or through "
        "others, would never end.",
        "Move what repeats into a step, or use `for_each`.",
    ),
    "W322": Code(
        "too many sub-workflows",
        "Files inside files are bounded in depth, and their steps, which all belong to the run, in number.",
        "Let a step do more of the work, or make several runs.",
    ),
    "W323": Code(
        "sub-workflows disagree on a pool",
        "Pools are shared by name among a file and its sub-workflows. Two of these say different things about one, and the file "
        "does not decide.",
        "Declare the pool under `resources` of the file: what it says there holds for all.",
        "steps:\n"
        "  a: { flow: { resources: { db: 1 }, steps: { x: { run: echo x, resources: { db: 1 } } } } }\n"
        "  b: { flow: { resources: { db: 2 }, steps: { x: { run: echo x, resources: { db: 1 } } } } }\n",
        "resources: { db: 2 }\nsteps:\n"
        "  a: { flow: { resources: { db: 1 }, steps: { x: { run: echo x, resources: { db: 1 } } } } }\n"
        "  b: { flow: { resources: { db: 2 }, steps: { x: { run: echo x, resources: { db: 1 } } } } }\n",
    ),
    **{code: TOOL_CODES[code] for code in ("W324",)},
    **AGENT_CODES,
    # ---- recorded traces ----
    "W401": Code(
        "the trace does not follow WfFormat",
        "A part of the trace that is needed to replay it is missing or of the wrong type.",
        "Check the file against the schema of its version.",
        '{"workflow": {"tasks": [{"id": "a", "runtimeInSeconds": "long"}]}}\n',
        '{"workflow": {"tasks": [{"id": "a", "runtimeInSeconds": 1.5}]}}\n',
    ),
    "W402": Code(
        "a task is given twice",
        "Two tasks of the trace have the same id, so an edge to one of them cannot be told from an edge to the other.",
        "Rename one of them.",
        '{"workflow": {"tasks": [{"id": "a"}, {"id": "a"}]}}\n',
        '{"workflow": {"tasks": [{"id": "a"}, {"id": "b"}]}}\n',
    ),
    "W403": Code(
        "a task that does not exist",
        "An edge or a run time of the trace names a task that is not in it.",
        "Correct the id, or add the task.",
        '{"workflow": {"tasks": [{"id": "a", "parents": ["b"]}]}}\n',
        '{"workflow": {"tasks": [{"id": "a"}]}}\n',
    ),
    # ---- races ----
    "W501": Code(
        "two steps race",
        "One of two steps writes what the other reads or writes, and no path of needs orders them. They never run at the same "
        "time, but which of them goes first depends on what else runs, so the result may change from run to run.",
        "Let one need the other. If any order is fine, say so with `races: allow` on one of them.",
        "steps:\n  collect:\n    run: echo row >> rows.csv\n    writes: rows.csv\n  report:\n    run: wc -l rows.csv\n"
        "    reads: rows.csv\n",
        "steps:\n  collect:\n    run: echo row >> rows.csv\n    writes: rows.csv\n  report:\n    run: wc -l rows.csv\n"
        "    reads: rows.csv\n    needs: collect\n",
    ),
    "W502": Code(
        "more races than are listed",
        "Only the first pairs of steps that race are listed. Or the file has so many globs that comparing each with each would "
        "take too long; then steps with `writes` run one at a time, and never together with steps with `reads`.",
        "Order the pairs that are listed and check again; or use fewer globs.",
    ),
    **HWFE_CODES,
    **PML_CODES,
    **EVOLVER_CODES,
    **GHYAML_CODES,
}

"""Two kinds of steps. A class needs nothing of weft but a method `run`, which takes `with` and returns what JSON can say."""

import re


class Count:
    """How often each word stands in a text: the `most` common ones, the most frequent first."""

    def run(self, text: str, most: int = 10) -> dict[str, int]:
        if most < 1:
            raise ValueError(f"`most` is {most}; ask for one word at least")
        words = re.findall(r"\w+", text.lower())
        counts = {word: words.count(word) for word in sorted(set(words))}
        return dict(sorted(counts.items(), key=lambda item: -item[1])[:most])


class Longest:
    """The longest word of a text; the first of several."""

    def run(self, text: str) -> str:
        words = re.findall(r"\w+", text)
        print(f"looking at {len(words)} words")  # what it prints is the log of the step
        return max(words, key=len, default="")

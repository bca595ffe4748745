"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const ROWS = 200; // shown at first, and added by the button: more at once make a phone stutter
  const byId = (id) => document.getElementById(id);
  const body = document.querySelector("#steps tbody");
  const heads = [...document.querySelectorAll("#steps th")];
  let sorted = -1, down = false, shown = ROWS;

  const duration = (s) => {
    if (!s) return "";
    if (s < 0.5) return `${+(s * 1000).toPrecision(3)}ms`;
    if (s < 9.95) return `${+s.toFixed(1)}s`;
    const pair = (n, base, large, small) =>
      (n >= base ? Math.floor(n / base) + large : "") + (n % base ? (n % base) + small : "");
    if (s >= 86400) return pair(Math.round(s / 3600), 24, "d", "h");
    if (s >= 3600) return pair(Math.round(s / 60), 60, "h", "m");
    return pair(Math.round(s), 60, "m", "s");
  };
  const size = (n) => {
    if (!n) return "";
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    for (; n >= 1024 && unit < 4; unit++) n /= 1024;
    return `${+n.toFixed(1)}${units[unit]}`;
  };
  const words = (status) => status.replaceAll("_", " ");

  const chosen = () => {
    const text = byId("find").value.toLowerCase(), only = byId("only").value;
    const rows = data.rows.filter((row) =>
      (!only || row[2] === only) && (!text || row[0].toLowerCase().includes(text) || row[8].toLowerCase().includes(text)));
    if (sorted >= 0) {
      const sign = down ? -1 : 1;
      rows.sort((a, b) => sign * (typeof a[sorted] === "number" ? a[sorted] - b[sorted] : a[sorted].localeCompare(b[sorted])));
    }
    return rows;
  };

  const line = (row) => {
    const tr = document.createElement("tr");
    const ran = row[3] > 0;
    const texts = [row[0], row[1], `${data.glyphs[row[2]] || "·"} ${words(row[2])}`, ran ? row[3] : "",
      ran ? duration(row[4]) || "0s" : "", duration(row[5]), duration(row[6]), size(row[7]), row[8], "",
      row[10] ? row[10].toLocaleString("en") : "", row[11] ? `${+row[11].toPrecision(6)}` : ""];
    tr.className = row[2] + (row[9] ? " path" : "");
    for (const column of data.columns) tr.appendChild(document.createElement("td")).textContent = texts[column];
    return tr;
  };

  const draw = () => {
    const rows = chosen();
    body.replaceChildren(...rows.slice(0, shown).map(line));
    const left = rows.length - Math.min(shown, rows.length);
    byId("more").hidden = !left;
    byId("more").textContent = `show ${Math.min(left, 5 * ROWS).toLocaleString("en")} more of ${left.toLocaleString("en")}`;
    byId("count").textContent = `${rows.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")}`;
  };

  heads.forEach((head, n) => head.querySelector("button")?.addEventListener("click", () => {
    const column = data.columns[n];
    down = sorted === column ? !down : column > 2; // of numbers the large ones are wanted first
    sorted = column;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    draw();
  }));
  for (const id of ["find", "only"]) byId(id).addEventListener("input", () => { shown = ROWS; draw(); });
  byId("more").addEventListener("click", () => { shown += 5 * ROWS; draw(); });
  draw();

  const track = document.querySelector(".lanes");
  if (!track || !data.lanes) return;
  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;
  track.addEventListener("pointermove", (event) => {
    const box = track.getBoundingClientRect();
    const lane = data.lanes[Math.floor((event.clientY - box.top) / box.height * data.lanes.length)] || [];
    const at = (event.clientX - box.left) / box.width * data.end, near = data.end / box.width * 2;
    const found = lane.find((bar) => bar[1] - near <= at && at <= bar[2] + near);
    tip.hidden = !found;
    if (!found) return;
    const row = data.rows[found[0]];
    tip.textContent = `${row[0]}: ${words(row[2])}, ${duration(found[2] - found[1]) || "0s"} from ${duration(found[1]) || "0s"}`;
    tip.style.left = `${Math.min(event.pageX + 12, document.documentElement.clientWidth - 260)}px`;
    tip.style.top = `${event.pageY + 14}px`;
  });
  track.addEventListener("pointerleave", () => { tip.hidden = true; });
})();

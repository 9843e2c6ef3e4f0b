// The verdict, the filters, what is selected, and the keys.

function showVerdict() {
  const run = story.run;
  const failed = story.finding !== null;
  document.title = `${failed ? story.finding.checker + " · " : ""}${run.scenario} ${run.seed} · chronik-sim`;
  byId("verdict").classList.toggle("failed", failed);
  byId("badge").textContent = failed ? "FAILED" : "NOTHING WRONG";
  byId("checker").textContent = failed ? story.finding.checker : "";
  const when = failed ? "at " + timeText(story.finding.t) : "up to " + timeText(run.ended);
  byId("when").textContent = when + " of virtual time";
  byId("subject").innerHTML = `scenario <b>${escapeText(run.scenario)}</b>, seed <b>${run.seed}</b>`;
  byId("says").textContent = failed ? story.finding.message.split("\n")[0] : run.description;
  byId("explanation").textContent = story.explanation;
  byId("replay").textContent = run.replay;
  const faults = Object.values(run.faults).reduce((sum, n) => sum + n, 0);
  byId("numbers").textContent = `${many(story.machines.length, "machine")} · ${many(faults, "fault")} struck · ` +
    `${story.events.length} events shown here` + (run.forgotten > 0 ? `, ${run.forgotten} earlier ones not kept` : "");
  byId("message").textContent = failed ? story.finding.message : "Nothing is wrong.";
  byId("faults").innerHTML = "<h3>Faults that struck</h3><pre>" + (Object.entries(run.faults)
    .map(([kind, n]) => escapeText(`${String(n).padStart(6)}  ${kind}`)).join("\n") || "none") + "</pre>";
  const long = byId("explanation");
  byId("more").hidden = long.scrollHeight <= long.clientHeight + 2;
  byId("more").onclick = () => {
    byId("explained").classList.toggle("open");
    byId("more").textContent = byId("explained").classList.contains("open") ? "less" : "more";
    resized();
  };
  byId("copy").onclick = () => {
    const area = document.createElement("textarea");
    area.value = run.replay;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    byId("copy").textContent = "copied";
  };
}

function many(n, what) {
  return `${n} ${what}${n === 1 ? "" : "s"}`;
}

// ---- filters ----

function chip(text, count, color, on, toggle) {
  const one = document.createElement("span");
  one.className = "chip" + (on ? "" : " off");
  one.innerHTML = (color ? `<i style="background:${color}"></i>` : "") + escapeText(text) +
    (count === undefined ? "" : ` <span class="n">${count}</span>`);
  one.onclick = () => {
    one.classList.toggle("off", !toggle());
    rebuild(anchor());
    findMatches();
  };
  return one;
}

function anchor() {
  const middle = scroller.scrollTop + scroller.clientHeight / 2;
  const chosen = story.events[view.selected];
  const placed = chosen !== undefined && chosen.tick !== undefined;
  if (placed && Math.abs(chosen.tick.y - middle) < scroller.clientHeight) return chosen;
  const near = ticksBetween(middle - 400, middle + 400).find((tick) => tick.y >= middle);
  return near === undefined ? undefined : near.event;
}

function showFilters() {
  for (const [id, kind] of Object.entries(kinds)) {
    if (counts[id] === undefined || id === "finding") continue;
    byId("kinds").append(chip(kind.label, counts[id], kind.color, kind.on, () => (kind.on = !kind.on)));
  }
  story.machines.forEach((who, i) => {
    const color = who.node ? "#1b2330" : "#b9c1cc";
    byId("machines").append(chip(who.name, undefined, color, machineOn[i], () => (machineOn[i] = !machineOn[i])));
  });
  const item = (svg, text) => `<span><svg width="30" height="12">${svg}</svg>${text}</span>`;
  byId("legend").innerHTML =
    item('<path d="M0 2L26 10" stroke="#1f5fbf" stroke-width="1.5"/><path d="M30 11L21 11L24 5z" fill="#1f5fbf"/>',
         "message, sent to arrived") +
    item('<path d="M0 2L30 10" stroke="#1f5fbf" stroke-width="1.5" stroke-dasharray="6 4"/>',
         "held up by a cut") +
    item('<path d="M0 2L22 8M18 4L26 12M26 4L18 12" stroke="#c01f2e" stroke-width="1.5"/>', "lost") +
    item('<rect x="13" width="4" height="12" fill="#8a6a2f"/>', "operation of a disk or store") +
    item('<path d="M15 1L21 11L9 11z" fill="#d9720b"/>', "fault, and how long it lasts") +
    item('<rect x="11" y="2" width="8" height="8" fill="#7a3fb0"/>', "role of a replica") +
    item('<path d="M15 0V12" stroke="#9aa5b4" stroke-width="2"/>', "runs") +
    item('<path d="M15 0V12" stroke="#9aa5b4" stroke-width="1.5" stroke-dasharray="2 3"/>', "is down");
}

function findMatches() {
  wanted = byId("search").value.trim().toLowerCase();
  const found = layout.shown.filter(matches).length;
  byId("matches").textContent = wanted === "" ? "" : found + (found === 1 ? " event" : " events");
  draw();
}

// ---- selecting ----

function select(i, scroll) {
  view.selected = i;
  const event = story.events[i];
  if (event !== undefined) {
    if (event.tick === undefined || !layout.shown.includes(event)) {
      kinds[event.k].on = true;
      if (event.m >= 0) machineOn[event.m] = true;
      byId("kinds").replaceChildren();
      byId("machines").replaceChildren();
      showFilters();
      rebuild();
    }
    if (scroll) scroller.scrollTop = event.tick.y - scroller.clientHeight * 0.45;
    showEvent(event);
  }
  draw();
}

function step(direction) {
  const list = layout.shown.filter((event) => wanted === "" || matches(event));
  if (list.length === 0) return;
  const now = view.selected;
  const next = direction > 0 ? list.find((event) => event.i > now) : [...list].reverse().find((event) => event.i < now);
  if (next !== undefined) select(next.i, true);
}

function toFinding() {
  if (findingEvent !== undefined) select(findingEvent.i, true);
  else if (layout.shown.length > 0) select(layout.shown[layout.shown.length - 1].i, true);
}

const row = (name, value) => (value === undefined || value === "" ? "" : `<tr><td>${name}</td><td>${value}</td></tr>`);
const link = (i, text) => `<a class="go" data-event="${i}">${escapeText(text)}</a>`;

// Kafka's messages stand in one line; broken at their brackets they can be read.
function pretty(text) {
  if (!/\{[A-Za-z]/.test(text)) return text;
  let out = "";
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    const opens = (c === "{" || c === "[") && !"}]".includes(text[i + 1]);
    const closes = (c === "}" || c === "]") && !"{[".includes(text[i - 1]);
    if (c === '"' && text[i - 1] !== "\\") quoted = !quoted;
    if (quoted) { out += c; continue; }
    if (opens) out += c + "\n" + "  ".repeat(++depth);
    else if (closes) out += "\n" + "  ".repeat(Math.max(--depth, 0)) + c;
    else if (c === "," && text[i + 1] === " ") { out += ",\n" + "  ".repeat(depth); ++i; }
    else out += c;
  }
  return out;
}

function outcome(event) {
  const took = event.u === undefined ? "" : spanText(event.u - event.t);
  switch (event.e) {
    case "done": return (event.k === "fault" ? "lasts " : event.isMessage ? "arrives after " : "done after ") + took;
    case "open": return "still under way at the end, after " + took;
    case "failed": return `<span class="bad">fails after ${took}</span>`;
    case "lost": return `<span class="bad">lost after ${took}</span>`;
    default: return "";
  }
}

function showEvent(event) {
  const kind = kinds[event.k];
  const who = event.m < 0 || event.k === "finding" ? "" : nameOf(event.m) + " ";
  const title = who + (event.isMessage ? "sends " : "") + event.x;
  const answer = story.events[event.answeredBy];
  let html = `<span class="kind"><i style="background:${kind.color}"></i>${escapeText(kind.label)}</span>` +
    `<h3>${escapeText(title)}</h3><table>` +
    row("at", timeText(event.t)) + row("to", event.o === undefined ? "" : escapeText(nameOf(event.o))) +
    row("outcome", outcome(event)) +
    row("held up", event.h === undefined ? "" : `from ${timeText(event.h)} on, by a cut or a dead machine`) +
    row("size", event.b === undefined ? "" : event.b + " bytes") + row("fiber", escapeText(event.f || "")) +
    row("answers", event.a === undefined ? "" : link(event.a, story.events[event.a].x)) +
    row("answered", answer === undefined ? "" : link(answer.i, `${answer.x}, ${spanText(answer.t - event.t)} later`)) +
    "</table>";
  if (event.d) html += `<h4>${event.isMessage ? "Content" : "More"}</h4><pre>${escapeText(pretty(event.d))}</pre>`;
  html += waitsOf(event) + neighbours(event);
  byId("details").innerHTML = html;
}

function waitsOf(event) {
  const i = fibers.findIndex((fiber) => fiber.m === event.m && fiber.f === event.f);
  if (i < 0) return "";
  const state = (fibers[i].waits === undefined ? "" : "waits for ") + waitText(fibers[i]);
  return `<h4>This fiber ${story.finding ? "at the finding" : "in the end"}</h4>` +
    `<div><a class="go" data-fiber="${i}">${escapeText(state)}</a></div>`;
}

function neighbours(event) {
  const same = (other) => other.m === event.m && (event.f ? other.f === event.f : true);
  const shown = event.f ? story.events : layout.shown;
  const at = shown.indexOf(event);
  const list = [];
  for (let k = at - 1; k >= 0 && list.length < 5; --k) if (same(shown[k])) list.unshift(shown[k]);
  list.push(event);
  for (let k = at + 1, more = 0; k < shown.length && more < 5; ++k) if (same(shown[k]) && ++more) list.push(shown[k]);
  const whose = event.f ? "The same fiber" : event.m < 0 ? "The world" : "The same machine";
  return `<h4>${whose} before and after</h4><div class="list">` +
    list.map((other) => `<div class="${other === event ? "here" : ""}"><span class="hint">` +
      `${other === event ? "" : (other.t < event.t ? "−" : "+") + spanText(Math.abs(other.t - event.t))}</span> ` +
      `${link(other.i, other.x)}</div>`).join("") + "</div>";
}

function showFiber(i) {
  const fiber = fibers[i];
  const events = story.events.filter((event) => event.m === fiber.m && event.f === fiber.f).slice(-12);
  const dead = !fiber.dead ? "" : `, <span class="bad">${core().includes(i) ? "deadlocked" : "behind a deadlock"}</span>`;
  byId("details").innerHTML = `<span class="kind">fiber${dead}</span><h3>${escapeText(fiber.f)}</h3><table>` +
    row("where", escapeText(fiber.place)) + row("waits for", escapeText(waitText(fiber))) +
    row("at most", fiber.waits === undefined ? "" : fiber.left === undefined ? "for ever" : spanText(fiber.left)) +
    row("expiry", fiber.means) + "</table>" +
    (fiber.stack ? `<h4>Stack, the innermost first</h4><pre>${escapeText(fiber.stack.join("\n"))}</pre>` : "") +
    (events.length === 0 ? "" : "<h4>What it did last</h4><div class=list>" + events.map((event) =>
      `<div><span class="hint">${timeText(event.t)}</span> ${link(event.i, event.x)}</div>`).join("") + "</div>");
}

// ---- the page ----

function open(name) {
  for (const one of document.querySelectorAll(".tab")) one.classList.toggle("on", one.dataset.view === name);
  for (const one of document.querySelectorAll(".view")) one.classList.toggle("on", one.id === name);
  if (name === "diagram") resized();
}

function resized() {
  rebuild(anchor());
}

function listen() {
  scroller.addEventListener("scroll", draw);
  scroller.addEventListener("mousemove", (at) => {
    const box = scroller.getBoundingClientRect();
    const event = eventAt(at.clientX - box.left, at.clientY - box.top);
    const hover = event === undefined ? -1 : event.i;
    if (hover !== view.hover) {
      view.hover = hover;
      draw();
    }
    scroller.style.cursor = hover < 0 ? "" : "pointer";
  });
  scroller.addEventListener("click", (at) => {
    const box = scroller.getBoundingClientRect();
    const event = eventAt(at.clientX - box.left, at.clientY - box.top);
    if (event !== undefined) select(event.i, false);
  });
  const drag = (at) => {
    const part = (at.clientY - overview.getBoundingClientRect().top) / scroller.clientHeight;
    scroller.scrollTop = part * layout.height - scroller.clientHeight / 2;
  };
  overview.addEventListener("mousedown", drag);
  overview.addEventListener("mousemove", (at) => { if (at.buttons === 1) drag(at); });
  window.addEventListener("resize", resized);
  byId("zoom").oninput = byId("scaled").onchange = () => rebuild(anchor());
  byId("search").oninput = findMatches;
  byId("next").onclick = () => step(1);
  byId("previous").onclick = () => step(-1);
  byId("to-finding").onclick = toFinding;
  byId("to-finding").textContent = findingEvent ? "to the finding" : "to the end";
  for (const tab of document.querySelectorAll(".tab")) tab.onclick = () => open(tab.dataset.view);
  document.addEventListener("click", (at) => {
    const target = at.target.closest("[data-event],[data-fiber]");
    if (target === null) return;
    if (target.dataset.event !== undefined) {
      open("diagram");
      select(Number(target.dataset.event), true);
    } else {
      showFiber(Number(target.dataset.fiber));
      if (!byId("graph").classList.contains("on")) open("graph");
    }
  });
  document.addEventListener("keydown", onKey);
}

function onKey(key) {
  if (key.ctrlKey || key.metaKey || key.altKey) return;
  if (document.activeElement === byId("search")) {
    if (key.key === "Enter") step(key.shiftKey ? -1 : 1);
    if (key.key === "Escape") byId("search").blur();
    return;
  }
  const zoom = (by) => {
    byId("zoom").value = Number(byId("zoom").value) + by;
    rebuild(anchor());
  };
  const acts = {
    n: () => step(1), p: () => step(-1), f: toFinding, "+": () => zoom(8), "=": () => zoom(8), "-": () => zoom(-8),
    "/": () => byId("search").focus(), 1: () => open("diagram"), 2: () => open("graph"), 3: () => open("report"),
  };
  if (acts[key.key] !== undefined) {
    acts[key.key]();
    key.preventDefault();
  }
}

showVerdict();
showFilters();
drawGraph();
listen();
rebuild();
toFinding();
const wantedView = location.hash.slice("#view-".length);
if (["graph", "report"].includes(wantedView)) open(wantedView);
if (wantedView === "graph" && fibers.length > 0) showFiber(core().length > 0 ? core()[0] : 0);

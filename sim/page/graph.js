// The wait-for graph of the finding: who waits for whom. The deadlocked stand in a ring, whoever waits for them beside.
const kBoxWide = 236;
const kBoxHigh = 44;
const fibers = story.fibers;
const kFibersDrawn = 60;

function edgesOf(i, withScopes) {
  const edges = [];
  for (const wait of fibers[i].waits || []) {
    if (!withScopes && wait.x.startsWith("scope")) continue;
    for (const provider of wait.by) edges.push({ from: i, to: provider, text: wait.x });
  }
  return edges;
}

// Of the deadlocked those that are on a cycle; who joins a scope only waits for them to end.
function core() {
  const dead = fibers.map((_, i) => i).filter((i) => fibers[i].dead);
  const reaches = (from) => {
    const seen = new Set();
    const left = [from];
    while (left.length > 0) {
      for (const edge of edgesOf(left.pop(), false)) {
        if (!seen.has(edge.to)) {
          seen.add(edge.to);
          left.push(edge.to);
        }
      }
    }
    return seen;
  };
  const onCycle = dead.filter((i) => reaches(i).has(i));
  return onCycle.length > 0 ? onCycle : dead;
}

function placeRing(ring, at) {
  const radius = ring.length < 2 ? 0 : ring.length === 2 ? 110 : 70 + ring.length * 38;
  ring.forEach((i, k) => {
    const angle = -Math.PI / 2 + (2 * Math.PI * k) / ring.length;
    at.set(i, { column: 0, x: radius * Math.cos(angle) * 1.35, y: radius * Math.sin(angle) });
  });
  return radius * (ring.length === 2 ? 0.2 : 1.35);
}

// Who waits for the ring, in columns by how far away they are.
function placeWaiters(at, radius) {
  let column = 0;
  let latest = new Set(at.keys());
  const all = fibers.map((_, i) => i);
  while (latest.size > 0 && at.size < kFibersDrawn) {
    ++column;
    const next = all.filter((i) => !at.has(i) && edgesOf(i, true).some((edge) => latest.has(edge.to)));
    next.slice(0, kFibersDrawn - at.size).forEach((i, k, placed) => {
      at.set(i, { column, x: radius + column * (kBoxWide + 170), y: (k - (placed.length - 1) / 2) * (kBoxHigh + 26) });
    });
    latest = new Set(next.filter((i) => at.has(i)));
  }
}

// Without a deadlock: those with an edge, a column for each machine.
function placeByMachine(at) {
  const linked = new Set();
  fibers.forEach((_, i) => edgesOf(i, false).forEach((edge) => linked.add(i).add(edge.to)));
  const rows = new Map();
  for (const i of [...linked].sort((a, b) => a - b).slice(0, kFibersDrawn)) {
    const machine = fibers[i].m;
    const row = rows.get(machine) || 0;
    rows.set(machine, row + 1);
    const column = [...rows.keys()].indexOf(machine);
    at.set(i, { x: column * (kBoxWide + 130), y: row * (kBoxHigh + 56) });
  }
}

function escapeText(text) {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}
function cut(text, length) {
  return text.length <= length ? text : text.slice(0, length - 1) + "…";
}

// Where the line from the middle of one box to another leaves it.
function rim(from, to) {
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const scale = Math.min((kBoxWide / 2 + 4) / Math.max(Math.abs(dx), 1e-6),
                         (kBoxHigh / 2 + 4) / Math.max(Math.abs(dy), 1e-6));
  return { x: from.x + dx * scale, y: from.y + dy * scale };
}

function boxAround(place, wide, high) {
  return { x1: place.x - wide / 2, x2: place.x + wide / 2, y1: place.y - high / 2, y2: place.y + high / 2 };
}
function overlap(a, b) {
  return Math.max(0, Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1)) *
    Math.max(0, Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1));
}
function along(curve, t) {
  const mix = (p, m, q) => (1 - t) * (1 - t) * p + 2 * t * (1 - t) * m + t * t * q;
  return { x: mix(curve.p.x, curve.middle.x, curve.q.x), y: mix(curve.p.y, curve.middle.y, curve.q.y) };
}

// A line from box to box: straight, but those of a ring are bowed apart, and what would run through a third box goes
// around it.
function curveOf(edge, at, dead) {
  const a = at.get(edge.from);
  const b = at.get(edge.to);
  const long = Math.hypot(b.x - a.x, b.y - a.y) || 1;
  const bowed = (bow) => {
    const across = { x: -((b.y - a.y) / long) * bow, y: ((b.x - a.x) / long) * bow };
    const middle = { x: (a.x + b.x) / 2 + across.x, y: (a.y + b.y) / 2 + across.y };
    return { p: rim(a, middle), middle, q: rim(b, middle) };
  };
  const third = [...at].filter(([i]) => i !== edge.from && i !== edge.to);
  const others = third.map(([, place]) => boxAround(place, kBoxWide, kBoxHigh));
  const runsThrough = (curve) => [...Array(24).keys()].filter((k) => others.some(
    (box) => overlap(box, boxAround(along(curve, (k + 1) / 25), 2, 2)) > 0)).length;
  const ways = (dead ? [62] : [0, 76, -76, 150, -150]).map(bowed);
  const through = ways.map(runsThrough);
  return ways[through.indexOf(Math.min(...through))];
}

// Where on its line a label covers least of the boxes and of the labels that are placed already.
function placeLabel(curve, wide, taken) {
  let best;
  for (const t of [0.5, 0.4, 0.6, 0.32, 0.68, 0.25, 0.75, 0.18, 0.82]) {
    const place = along(curve, t);
    const box = boxAround(place, wide + 4, 20);
    const covers = taken.reduce((sum, other) => sum + overlap(box, other), 0);
    if (best === undefined || covers < best.covers) best = { ...place, box, covers };
  }
  taken.push(best.box);
  return best;
}

function edgeSvg(edge, at, dead, taken) {
  const curve = curveOf(edge, at, dead);
  const color = dead ? "#c01f2e" : "#8b95a3";
  const wide = edge.text.length * 6.6 + 10;
  const label = placeLabel(curve, wide, taken);
  const { p, middle, q } = curve;
  const path = `<path d="M${p.x} ${p.y} Q${middle.x} ${middle.y} ${q.x} ${q.y}" fill="none" stroke="${color}" ` +
    `stroke-width="${dead ? 2.2 : 1.3}" marker-end="url(#${dead ? "tip-dead" : "tip"})"/>`;
  const text = `<rect class="label" x="${label.x - wide / 2}" y="${label.y - 9}" width="${wide}" height="18" rx="4" ` +
    `fill="#fff" opacity=".92"/><text x="${label.x}" y="${label.y + 4}" text-anchor="middle" font-size="12" ` +
    `fill="${dead ? color : "#47525f"}">${escapeText(edge.text)}</text>`;
  return { path, text };
}

// behind: deadlocked, and in no circle.
function boxSvg(i, place, behind) {
  const fiber = fibers[i];
  const dead = fiber.dead;
  const x = place.x - kBoxWide / 2;
  const y = place.y - kBoxHigh / 2;
  const left = fiber.left === undefined ? "" : " · " + spanText(fiber.left) + " left";
  return `<g class="fiber" data-fiber="${i}"><rect x="${x}" y="${y}" width="${kBoxWide}" height="${kBoxHigh}" rx="7" ` +
    `fill="${dead ? "#fdeef0" : "#fff"}" stroke="${dead ? "#c01f2e" : "#8b95a3"}" stroke-width="${dead ? 1.8 : 1}"` +
    `${behind ? ' stroke-dasharray="5 4"' : ""}/>` +
    `<text x="${place.x}" y="${place.y - 4}" text-anchor="middle" font-size="13" font-weight="600">` +
    `${escapeText(cut(fiber.f, 32))}</text><text x="${place.x}" y="${place.y + 13}" text-anchor="middle" ` +
    `font-size="11" fill="#5b6675">${escapeText(fiber.place + left)}</text></g>`;
}

function drawGraph() {
  const ring = core();
  const at = new Map();
  if (ring.length > 0) placeWaiters(at, placeRing(ring, at)); else placeByMachine(at);
  byId("graph-count").textContent = ring.length > 0 ? ring.length + " deadlocked" : "";
  byId("graph-says").innerHTML = `As of ${timeText(story.waits_at)}. ` + (ring.length > 0
    ? "The fibers in red can be woken by one another alone: <b class=bad>a deadlock</b>; whoever is dashed only " +
      "waits for one of the others. Click one for its stack."
    : at.size > 0 ? "Nothing is deadlocked. Drawn are the fibers that wait for another one; all are in the list below."
      : "Nothing is deadlocked, and no fiber waits for another one; what each waits for is in the list below.");
  byId("graph-box").style.display = at.size > 0 ? "" : "none";
  const ringed = new Set(ring);
  const edges = [];
  const taken = [...at.values()].map((place) => boxAround(place, kBoxWide, kBoxHigh));
  for (const i of at.keys()) {
    for (const edge of edgesOf(i, ring.length > 0)) {
      const drawn = at.has(edge.to);
      const nearer = ring.length === 0 || ringed.has(i) || (drawn && at.get(edge.to).column < at.get(i).column);
      if (drawn && nearer) edges.push(edgeSvg(edge, at, ringed.has(i) && ringed.has(edge.to), taken));
    }
  }
  const places = [...at.values()];
  const left = Math.min(0, ...places.map((p) => p.x)) - kBoxWide / 2 - 90;
  const right = Math.max(0, ...places.map((p) => p.x)) + kBoxWide / 2 + 90;
  const top = Math.min(0, ...places.map((p) => p.y)) - kBoxHigh - 20;
  const bottom = Math.max(0, ...places.map((p) => p.y)) + kBoxHigh + 20;
  const tip = (id, color) => `<marker id="${id}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" ` +
    `markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L10 5L0 10z" fill="${color}"/></marker>`;
  byId("graph-box").innerHTML = `<svg width="${right - left}" height="${bottom - top}" viewBox="${left} ${top} ` +
    `${right - left} ${bottom - top}"><defs>${tip("tip", "#8b95a3")}${tip("tip-dead", "#c01f2e")}</defs>` +
    edges.map((e) => e.path).join("") +
    [...at].map(([i, place]) => boxSvg(i, place, fibers[i].dead && !ringed.has(i))).join("") +
    edges.map((e) => e.text).join("") + "</svg>";
  listFibers();
}

// Endpoints stand in keys as long numbers; their ends tell them apart.
for (const fiber of fibers) {
  for (const wait of fiber.waits || []) wait.x = wait.x.replace(/\d{9,}(\d{4})/g, "…$1");
}

function waitText(fiber) {
  if (fiber.waits === undefined) return "runs";
  return fiber.waits.slice(0, 8).map((wait) => wait.x + (wait.by.length === 0 ? ""
    : " (of " + wait.by.slice(0, 3).map((i) => fibers[i].place + " " + fibers[i].f).join(", ") +
      (wait.by.length > 3 ? " and " + (wait.by.length - 3) + " more" : "") + ")")).join(" or ");
}

function listFibers() {
  const rows = fibers.map((fiber, i) => `<tr data-fiber="${i}" class="${fiber.dead ? "dead" : ""}"><td>` +
    `${escapeText(fiber.place)}</td><td>${escapeText(fiber.f)}</td><td>${escapeText(waitText(fiber))}</td><td>` +
    `${fiber.waits === undefined ? "" : fiber.left === undefined ? "for ever" : spanText(fiber.left)}</td><td>` +
    `${fiber.means || ""}</td></tr>`);
  byId("fibers").innerHTML = "<table><tr><th>where</th><th>fiber</th><th>waits for</th><th>at most</th>" +
    "<th>its expiry is</th></tr>" + rows.join("") + "</table>";
}

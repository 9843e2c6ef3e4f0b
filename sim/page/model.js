// The story, and what of it is shown. An event: k kind, t begin (ns), u end (ns), e how it ended (open, done, failed,
// lost), h when a cut first held it up, m machine, o other machine, f fiber, x text, d detail, b bytes, a the request
// that it answers.
const story = JSON.parse(document.getElementById("story").textContent);
const byId = (id) => document.getElementById(id);

const kinds = {
  finding: { label: "finding", color: "#c01f2e", on: true },
  fault: { label: "faults", color: "#d9720b", on: true },
  life: { label: "starts, ends", color: "#5b6675", on: true },
  state: { label: "roles, replicas", color: "#7a3fb0", on: true },
  operation: { label: "client operations", color: "#0d8f6f", on: true },
  request: { label: "client requests", color: "#1f5fbf", on: true },
  peer: { label: "between nodes", color: "#4b93d9", on: true },
  raft: { label: "raft", color: "#a0559b", on: true },
  heartbeat: { label: "heartbeats, answers", color: "#c79ac4", on: false },
  connection: { label: "connects", color: "#8795a8", on: false },
  bytes: { label: "bytes", color: "#6b7f99", on: true },
  disk: { label: "disk", color: "#8a6a2f", on: true },
  store: { label: "store", color: "#b59a5b", on: false },
  progress: { label: "appends, watermarks", color: "#4d9e8a", on: false },
  log: { label: "log lines", color: "#7d7d7d", on: true },
};
const machineOn = story.machines.map(() => true);
const messageKinds = new Set(["request", "peer", "raft", "heartbeat", "connection", "bytes"]);
const counts = {};
story.events.forEach((event, i) => {
  event.i = i;
  event.isMessage = messageKinds.has(event.k) && event.o !== undefined;
  counts[event.k] = (counts[event.k] || 0) + 1;
  event.words = (event.x + " " + (event.d || "") + " " + (event.f || "") + " " +
                 (event.m < 0 ? "world" : story.machines[event.m].name)).toLowerCase();
  if (event.a !== undefined) {
    story.events[event.a].answeredBy = i;
  }
});
const findingEvent = story.events.find((event) => event.k === "finding");

// ---- what passes the filters ----
let wanted = "";
const matches = (event) => wanted !== "" && event.words.includes(wanted);
function shows(event) {
  const there = event.m < 0 || machineOn[event.m] || (event.o !== undefined && machineOn[event.o]);
  return kinds[event.k].on && there;
}

// ---- words ----
function timeText(ns) {
  return (Math.floor(ns / 1e3) / 1e6).toFixed(6) + " s";
}
function spanText(ns) {
  if (ns < 1e3) return ns + " ns";
  if (ns < 1e6) return (ns / 1e3).toFixed(ns < 1e4 ? 1 : 0) + " µs";
  if (ns < 1e9) return (ns / 1e6).toFixed(ns < 1e7 ? 2 : ns < 1e8 ? 1 : 0) + " ms";
  return (ns / 1e9).toFixed(ns < 1e10 ? 2 : 1) + " s";
}
const nameOf = (machine) => (machine < 0 ? "the world" : story.machines[machine].name);

// ---- the layout: where each moment is ----
// A tick is the begin or the end of an event that is shown. Ticks stand in the order of time; `y` grows with them.
const layout = { ticks: [], height: 0, row: 16, gaps: [] };
const kGapShown = 20e6;  // ns: shorter pauses are not marked
const kEndRow = 0.45;    // of a row, for what has no label

function placeInOrder(row) {
  let y = 12;
  let last = layout.ticks.length > 0 ? layout.ticks[0].t : 0;
  layout.gaps = [];
  for (const tick of layout.ticks) {
    const pause = tick.t - last;
    const base = tick.end ? row * kEndRow : row;
    if (pause > kGapShown && y > 12) {
      const gap = base + Math.min(28, 6 + 3 * Math.log2(pause / kGapShown + 1)) * Math.min(1, row / 12);
      layout.gaps.push({ y: y + gap / 2, pause });
      y += gap;
    } else {
      y += base + Math.min(row, (pause / 1e6) * row * 0.3);
    }
    tick.y = y;
    last = tick.t;
  }
  layout.height = y + 40;
}

function placeToScale(pixelsPerMs) {
  const first = layout.ticks.length > 0 ? layout.ticks[0].t : 0;
  layout.gaps = [];
  for (const tick of layout.ticks) {
    tick.y = 16 + ((tick.t - first) / 1e6) * pixelsPerMs;
  }
  layout.height = (layout.ticks.length > 0 ? layout.ticks[layout.ticks.length - 1].y : 0) + 60;
}

const kBucket = 400;
function index() {
  layout.buckets = new Map();
  for (const event of layout.shown) {
    const y2 = event.tick2 === undefined ? event.tick.y : event.tick2.y;
    for (let b = Math.floor(event.tick.y / kBucket); b <= Math.floor(y2 / kBucket); ++b) {
      if (!layout.buckets.has(b)) layout.buckets.set(b, []);
      layout.buckets.get(b).push(event);
    }
  }
}

function between(y1, y2) {
  const found = new Set();
  for (let b = Math.floor(y1 / kBucket); b <= Math.floor(y2 / kBucket); ++b) {
    for (const event of layout.buckets.get(b) || []) found.add(event);
  }
  return found;
}

function build(zoom, scaled) {
  layout.shown = story.events.filter(shows);
  layout.ticks = [];
  for (const event of layout.shown) {
    event.tick = { t: event.t, event, end: false };
    event.tick2 = undefined;
    layout.ticks.push(event.tick);
    if (event.u !== undefined) {
      event.tick2 = { t: event.u, event, end: true };
      layout.ticks.push(event.tick2);
    }
  }
  layout.ticks.sort((a, b) => a.t - b.t || a.end - b.end || a.event.i - b.event.i);
  layout.scaled = scaled;
  if (scaled) {
    const most = 8e6;  // pixels that browsers scroll reliably
    const span = layout.ticks.length > 0 ? (layout.ticks[layout.ticks.length - 1].t - layout.ticks[0].t) / 1e6 : 1;
    layout.row = 12;
    placeToScale(Math.min(0.02 * Math.pow(1.12, zoom), most / Math.max(span, 1)));
  } else {
    layout.row = 2 * Math.pow(1.034, zoom);
    placeInOrder(layout.row);
  }
  chooseTimes();
  index();
}

// Which ticks have their time beside them: none too close to another, or to the mark of a pause.
function chooseTimes() {
  let last = -100;
  let gap = 0;
  for (const tick of layout.ticks) {
    while (gap + 1 < layout.gaps.length && layout.gaps[gap + 1].y <= tick.y) ++gap;
    const clear = layout.gaps.slice(gap, gap + 2).every((one) => Math.abs(one.y - tick.y) >= 13);
    tick.timed = tick.y - last >= 26 && clear;
    if (tick.timed) last = tick.y;
  }
}

// Where a moment is that need not be a tick's.
function yOf(t) {
  const ticks = layout.ticks;
  let low = 0;
  let high = ticks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ticks[middle].t < t) low = middle + 1; else high = middle;
  }
  if (low === 0) return ticks.length > 0 ? ticks[0].y - 8 : 0;
  if (low === ticks.length) return ticks[low - 1].y + 12;
  return ticks[low].t === t ? ticks[low].y : (ticks[low - 1].y + ticks[low].y) / 2;
}

// ---- when each machine was up: [{from, to, state}] ----
const lives = story.machines.map(() => []);
story.machines.forEach((_, machine) => {
  const events = story.events.filter((event) => event.k === "life" && event.m === machine);
  let from = 0;
  let state = events.length > 0 && events[0].x.startsWith("starts") ? "down" : "up";
  for (const event of events) {
    const next = event.x.startsWith("starts") || event.x.startsWith("goes on") ? "up"
      : event.x.startsWith("ends") ? "down" : event.x.startsWith("stops") ? "asleep" : state;
    lives[machine].push({ from, to: event.t, state });
    from = event.t;
    state = next;
  }
  lives[machine].push({ from, to: Infinity, state });
});

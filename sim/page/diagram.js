// The space-time diagram: time runs down, a column for each machine. Only what is visible is drawn.
const kAxis = 96;       // pixels: the times, at the left
const kLabelRoom = 150; // left of the first column
const kBehind = 190;    // right of the last
const kFont = "11.5px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
const kSmall = "10.5px ui-monospace, 'DejaVu Sans Mono', monospace";
const landmarks = new Set(["finding", "fault", "life", "state", "operation"]);

const view = { selected: -1, hover: -1, columns: [], x: new Map(), width: 0 };
const scroller = byId("scroll");
const canvas = byId("canvas");
const heads = byId("heads-canvas");
const overview = byId("overview");

function fit(one, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const wide = Math.round(width * ratio);
  const high = Math.round(height * ratio);
  if (one.width !== wide || one.height !== high) {
    one.width = wide;
    one.height = high;
    one.style.width = width + "px";
    one.style.height = height + "px";
  }
  const context = one.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// ---- columns, lanes, labels: once for each layout ----

function placeColumns() {
  view.columns = story.machines.map((_, i) => i).filter((i) => machineOn[i]);
  const room = scroller.clientWidth - kAxis - kLabelRoom - kBehind;
  view.gap = Math.max(104, room / Math.max(view.columns.length - 1, 1));
  view.gap = Math.min(view.gap, 420);
  view.width = kAxis + kLabelRoom + kBehind + view.gap * Math.max(view.columns.length - 1, 0);
  view.x.clear();
  view.columns.forEach((machine, i) => view.x.set(machine, kAxis + kLabelRoom + i * view.gap));
}

// What takes time and is no message is a bar beside its machine's line; bars at the same time stand side by side.
function placeLanes() {
  const busy = new Map();
  for (const event of layout.shown) {
    if (event.isMessage || event.tick2 === undefined || event.m < 0) continue;
    const side = event.k === "fault" ? -1 : 1;
    for (const machine of event.k === "fault" && event.o !== undefined ? [event.m, event.o] : [event.m]) {
      const key = machine * 2 + (side > 0 ? 1 : 0);
      if (!busy.has(key)) busy.set(key, []);
      const lanes = busy.get(key);
      let lane = lanes.findIndex((end) => end <= event.tick.y);
      if (lane < 0) lane = lanes.length;
      lanes[lane] = event.tick2.y;
      if (machine === event.m) event.lane = Math.min(lane, 6); else event.laneThere = Math.min(lane, 6);
    }
  }
}

function placeLabels() {
  const taken = new Map();
  const free = (y) => {
    const slot = Math.floor(y / 12);
    return [slot - 1, slot, slot + 1].every((s) => !taken.has(s) || Math.abs(taken.get(s) - y) >= 11.5);
  };
  for (const pass of [true, false]) {
    for (const tick of layout.ticks) {
      if (tick.end || landmarks.has(tick.event.k) !== pass) continue;
      tick.labelled = free(tick.y);
      if (tick.labelled) taken.set(Math.floor(tick.y / 12), tick.y);
    }
  }
}

function rebuild(keep) {
  const at = keep !== undefined && keep.tick !== undefined ? keep.tick.y - scroller.scrollTop : 200;
  build(Number(byId("zoom").value), byId("scaled").checked);
  placeColumns();
  placeLanes();
  placeLabels();
  byId("tall").style.height = layout.height + "px";
  byId("tall").style.width = view.width + "px";
  if (keep !== undefined && keep.tick !== undefined) {
    scroller.scrollTop = keep.tick.y - at;
  }
  drawStrip();
  draw();
}

// ---- drawing ----

let pending = false;
function draw() {
  if (!pending) {
    pending = true;
    requestAnimationFrame(() => {
      pending = false;
      drawNow();
      drawOverview();
    });
  }
}

function xOf(machine) {
  const x = view.x.get(machine);
  return x === undefined ? undefined : x - scroller.scrollLeft;
}

function drawNow() {
  const width = scroller.clientWidth;
  const height = scroller.clientHeight;
  if (width <= 0 || height <= 0) return;
  const c = fit(canvas, width, height);
  const top = scroller.scrollTop;
  c.font = kFont;
  c.textBaseline = "middle";
  const visible = [...between(top - 40, top + height + 40)].sort((a, b) => a.i - b.i);
  drawRows(c, visible, top, width);
  drawLines(c, top, height);
  c.save();
  c.beginPath();
  c.rect(kAxis, 0, width - kAxis, height);
  c.clip();
  for (const event of visible) if (event.k === "fault") drawFault(c, event, top);
  for (const event of visible) if (hasBar(event)) drawBar(c, event, top);
  for (const event of visible) if (event.isMessage) drawMessage(c, event, top, height);
  for (const event of visible) if (event.m < 0) drawAcross(c, event, top, width);
  for (const event of visible) if (event.m >= 0) drawPoint(c, event, top);
  for (const event of visible) if (event.tick.labelled || event.i === view.selected) drawLabel(c, event, top, width);
  c.restore();
  drawAxis(c, top, height);
  drawHeads(width);
}

function drawRows(c, visible, top, width) {
  const row = Math.max(layout.row, 12);
  for (const event of visible) {
    const chosen = event.i === view.selected;
    if (!chosen && event.i !== view.hover && !matches(event)) continue;
    c.fillStyle = chosen ? "#ffe9a3" : event.i === view.hover ? "#f1f3f6" : "#fff8dc";
    c.fillRect(kAxis, event.tick.y - top - row / 2, width - kAxis, row);
  }
}

// Where a machine's process runs, sleeps, or is not there.
function drawLines(c, top, height) {
  for (const machine of view.columns) {
    const x = xOf(machine);
    for (const life of lives[machine]) {
      const y1 = Math.max(life.from === 0 ? 0 : yOf(life.from) - top, -5);
      const y2 = Math.min(life.to === Infinity ? layout.height - top : yOf(life.to) - top, height + 5);
      if (y2 < y1) continue;
      c.lineWidth = life.state === "up" ? 2 : 1;
      c.strokeStyle = life.state === "up" ? "#9aa5b4" : "#d3d8df";
      c.setLineDash(life.state === "up" ? [] : life.state === "asleep" ? [8, 4] : [2, 5]);
      c.beginPath();
      c.moveTo(x, y1);
      c.lineTo(x, y2);
      c.stroke();
      c.setLineDash([]);
    }
  }
}

function isRelated(event) {
  const chosen = story.events[view.selected];
  return chosen !== undefined && (chosen.a === event.i || chosen.answeredBy === event.i);
}

function drawMessage(c, event, top, height) {
  const x1 = xOf(event.m);
  const x2 = xOf(event.o);
  if (x1 === undefined || x2 === undefined) return;
  const chosen = event.i === view.selected || isRelated(event);
  const y1 = event.tick.y - top;
  let y2 = event.tick2 === undefined ? y1 : event.tick2.y - top;
  const arrives = event.e === "done";
  const part = arrives ? 1 : 0.72;
  if (y2 > height + 4000) y2 = height + 4000;
  const xe = x1 + (x2 - x1) * part;
  c.strokeStyle = event.e === "lost" || event.e === "failed" ? kinds.finding.color : kinds[event.k].color;
  c.globalAlpha = chosen ? 1 : event.k === "heartbeat" ? 0.45 : 0.75;
  c.lineWidth = chosen ? 2.6 : 1.2;
  c.setLineDash(event.h !== undefined ? [6, 4] : arrives ? [] : event.e === "open" ? [2, 4] : []);
  c.beginPath();
  if (x1 === x2) {
    c.moveTo(x1, y1);
    c.bezierCurveTo(x1 + 30, y1, x1 + 30, y2, x1 + 2, y2);
  } else {
    c.moveTo(x1, y1);
    c.lineTo(xe, y2);
  }
  c.stroke();
  c.setLineDash([]);
  c.fillStyle = c.strokeStyle;
  if (arrives && x1 !== x2) {
    arrowHead(c, x1, y1, x2, y2);
  } else if (event.e === "lost" || event.e === "failed") {
    c.lineWidth = 2;
    c.beginPath();
    for (const [dx, dy] of [[-4, -4], [-4, 4]]) {
      c.moveTo(xe + dx, y2 + dy);
      c.lineTo(xe - dx, y2 - dy);
    }
    c.stroke();
  }
  c.globalAlpha = 1;
}

function arrowHead(c, x1, y1, x2, y2) {
  const angle = Math.atan2(y2 - y1, x2 - x1);
  c.beginPath();
  c.moveTo(x2, y2);
  for (const turn of [2.7, -2.7]) {
    c.lineTo(x2 + 8 * Math.cos(angle + turn), y2 + 8 * Math.sin(angle + turn));
  }
  c.closePath();
  c.fill();
}

function hasBar(event) {
  return !event.isMessage && event.k !== "fault" && event.tick2 !== undefined;
}

function drawBar(c, event, top) {
  const x = xOf(event.m);
  if (x === undefined) return;
  const at = x + 5 + 5 * (event.lane || 0);
  c.fillStyle = event.e === "failed" || event.e === "lost" ? kinds.finding.color : kinds[event.k].color;
  c.globalAlpha = event.e === "open" ? 0.35 : event.i === view.selected ? 1 : 0.7;
  c.fillRect(at, event.tick.y - top, 3, Math.max(event.tick2.y - event.tick.y, 3));
  c.globalAlpha = 1;
}

function drawFault(c, event, top) {
  const y1 = event.tick.y - top;
  const ends = [[event.m, event.lane], [event.o, event.laneThere]];
  c.fillStyle = c.strokeStyle = kinds.fault.color;
  for (const [machine, lane] of ends) {
    const x = machine === undefined ? undefined : xOf(machine);
    if (x === undefined || event.tick2 === undefined) continue;
    c.globalAlpha = event.i === view.selected ? 0.9 : 0.45;
    c.fillRect(x - 8 - 5 * (lane || 0), y1, 3, Math.max(event.tick2.y - event.tick.y, 3));
  }
  c.globalAlpha = 1;
  if (event.o !== undefined && xOf(event.m) !== undefined && xOf(event.o) !== undefined) {
    c.lineWidth = 1.2;
    c.setLineDash([2, 3]);
    c.beginPath();
    c.moveTo(xOf(event.m), y1);
    c.lineTo(xOf(event.o), y1);
    c.stroke();
    c.setLineDash([]);
  }
}

function drawPoint(c, event, top) {
  const x = xOf(event.m);
  if (x === undefined) return;
  const y = event.tick.y - top;
  const big = landmarks.has(event.k);
  c.fillStyle = kinds[event.k].color;
  c.beginPath();
  if (event.k === "fault") {
    c.moveTo(x, y - 6);
    c.lineTo(x + 6, y + 5);
    c.lineTo(x - 6, y + 5);
    c.closePath();
  } else if (event.k === "state") {
    c.rect(x - 4, y - 4, 8, 8);
  } else {
    c.arc(x, y, big ? 4.5 : 3, 0, 7);
  }
  c.fill();
  if (event.i === view.selected) {
    c.strokeStyle = "#1b2330";
    c.lineWidth = 1.5;
    c.beginPath();
    c.arc(x, y, 8, 0, 7);
    c.stroke();
  }
}

// What befalls the world and no machine.
function drawAcross(c, event, top, width) {
  const y = event.tick.y - top;
  const color = event.k === "state" ? "#1d7a46" : kinds[event.k].color;
  c.strokeStyle = color;
  c.lineWidth = event.k === "finding" ? 2.5 : 1.2;
  c.setLineDash(event.k === "finding" ? [] : [5, 4]);
  c.beginPath();
  c.moveTo(kAxis, y);
  c.lineTo(width, y);
  c.stroke();
  c.setLineDash([]);
}

function shorten(c, text, room) {
  if (c.measureText(text).width <= room) return text;
  let length = Math.max(2, Math.floor(text.length * (room - 8) / c.measureText(text).width));
  while (length > 2 && c.measureText(text.slice(0, length) + "…").width > room) length -= 2;
  return text.slice(0, length) + "…";
}

function labelOf(event) {
  if (event.k === "finding") return "FAILED  " + event.x;
  const text = event.x.replace(" -> ", " → ");
  return event.e === "lost" ? text + " (lost)" : event.e === "failed" ? text + " (failed)" : text;
}

function drawLabel(c, event, top, width) {
  const y = event.tick.y - top;
  const across = event.m < 0;
  const x = across ? kAxis + 12 : xOf(event.m);
  if (x === undefined || y < -10 || y > canvas.clientHeight + 10) return;
  const strong = event.k === "finding";
  c.font = strong || event.i === view.selected ? "600 " + kFont : kFont;
  const to = event.isMessage ? xOf(event.o) : undefined;
  const beside = 9 + (hasBar(event) ? 5 * ((event.lane || 0) + 1) : 0);
  let left = to !== undefined && to > x;
  let room = strong ? width - kAxis - 40 : left ? x - kAxis - 16 : width - x - beside - 8;
  if (!left && !across && room < 120 && x - kAxis > room) {
    left = true;
    room = x - kAxis - 20;
  }
  const text = shorten(c, labelOf(event), Math.min(room, strong || across ? width - 2 * kAxis : 330));
  const wide = c.measureText(text).width;
  const before = x - (event.k === "fault" ? 12 : 9) - wide;
  const at = strong ? Math.min(x + 12, width - wide - 16) : across ? x : left ? before : x + beside;
  if (strong) {
    c.fillStyle = kinds.finding.color;
    c.beginPath();
    c.roundRect(at - 7, y - 10, wide + 14, 20, 5);
    c.fill();
    c.fillStyle = "#fff";
  } else {
    c.fillStyle = event.i === view.selected ? "rgba(255,233,163,.9)" : "rgba(255,255,255,.82)";
    c.fillRect(at - 2, y - 6.5, wide + 4, 13);
    c.fillStyle = event.e === "lost" || event.e === "failed" ? kinds.finding.color : event.k === "fault" ? "#a35200"
      : landmarks.has(event.k) ? "#1b2330" : "#47525f";
  }
  c.fillText(text, at, y + 0.5);
  c.font = kFont;
}

function drawAxis(c, top, height) {
  c.fillStyle = "#fafaf8";
  c.fillRect(0, 0, kAxis, height);
  c.strokeStyle = "#dde1e7";
  c.lineWidth = 1;
  c.beginPath();
  c.moveTo(kAxis - 0.5, 0);
  c.lineTo(kAxis - 0.5, height);
  c.stroke();
  c.font = kSmall;
  c.fillStyle = "#5b6675";
  c.textAlign = "right";
  for (const tick of ticksBetween(top - 40, top + height)) {
    if (tick.timed) c.fillText(timeText(tick.t), kAxis - 8, tick.y - top);
  }
  for (const gap of layout.gaps) {
    const y = gap.y - top;
    if (y < -10 || y > height + 10 || layout.row < 8) continue;
    c.fillStyle = "#fafaf8";
    c.fillRect(0, y - 7, kAxis - 1, 14);
    c.fillStyle = "#8b95a3";
    c.fillText("· " + spanText(gap.pause) + " ·", kAxis - 8, y);
    c.strokeStyle = "#e4e7ec";
    c.beginPath();
    c.moveTo(kAxis, y);
    c.lineTo(canvas.clientWidth, y);
    c.stroke();
  }
  c.textAlign = "left";
}

function ticksBetween(y1, y2) {
  let low = 0;
  let high = layout.ticks.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (layout.ticks[middle].y < y1) low = middle + 1; else high = middle;
  }
  let end = low;
  while (end < layout.ticks.length && layout.ticks[end].y <= y2) ++end;
  return layout.ticks.slice(low, end);
}

function drawHeads(width) {
  const c = fit(heads, width + 22, 34);
  c.fillStyle = "#f4f5f7";
  c.fillRect(0, 0, width + 22, 34);
  c.textBaseline = "middle";
  c.font = kSmall;
  c.fillStyle = "#5b6675";
  c.fillText("virtual time", 12, 17);
  c.textAlign = "center";
  for (const machine of view.columns) {
    const x = xOf(machine);
    if (x < kAxis) continue;
    const who = story.machines[machine];
    c.font = (who.node ? "650 13px " : "13px ") + "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
    const wide = Math.min(c.measureText(who.name).width + 20, view.gap - 6);
    c.fillStyle = who.node ? "#1b2330" : "#ffffff";
    c.strokeStyle = who.node ? "#1b2330" : "#b9c1cc";
    c.beginPath();
    c.roundRect(x - wide / 2, 6, wide, 22, 6);
    c.fill();
    c.stroke();
    c.fillStyle = who.node ? "#ffffff" : "#1b2330";
    c.fillText(shorten(c, who.name, wide - 8), x, 17.5);
  }
  c.textAlign = "left";
}

// ---- the whole run in a strip ----

const strip = document.createElement("canvas");  // without the frame around what is visible

function drawStrip() {
  const height = scroller.clientHeight;
  if (height <= 0) return;
  const c = fit(strip, 22, height);
  const scale = height / Math.max(layout.height, 1);
  for (const event of layout.shown) {
    const mark = event.k === "finding" || event.k === "fault" || event.k === "life";
    c.fillStyle = kinds[event.k].color;
    c.globalAlpha = mark ? 1 : 0.35;
    c.fillRect(mark ? 2 : 8, event.tick.y * scale, mark ? 18 : 8, event.k === "finding" ? 3 : 1);
  }
  c.globalAlpha = 1;
}

function drawOverview() {
  const height = scroller.clientHeight;
  if (height <= 0 || strip.width === 0) return;
  const c = fit(overview, 22, height);
  c.drawImage(strip, 0, 0, 22, height);
  const scale = height / Math.max(layout.height, 1);
  c.strokeStyle = "#1b2330";
  c.fillStyle = "rgba(27,35,48,.08)";
  const y = scroller.scrollTop * scale;
  const shown = Math.max(height * scale, 6);
  c.fillRect(0.5, y, 21, shown);
  c.strokeRect(0.5, y + 0.5, 21, shown);
}

// ---- where the pointer is ----

function eventAt(x, y) {
  let best;
  let distance = Math.max(layout.row, 12);
  const at = y + scroller.scrollTop;
  for (const tick of ticksBetween(at - 30, at + 30)) {
    const away = Math.abs(tick.y - at) + (tick.end ? 2 : 0);
    if (away < distance) {
      distance = away;
      best = tick.event;
    }
  }
  return messageAt(x, at) || best;
}

// A message whose line is under the pointer, however far its ends are.
function messageAt(x, at) {
  for (const event of between(at - 1, at + 1)) {
    const x1 = xOf(event.m);
    const x2 = xOf(event.o);
    if (!event.isMessage || event.tick2 === undefined || x1 === undefined || x2 === undefined || x1 === x2) continue;
    const part = (x - x1) / (x2 - x1);
    const along = event.tick.y + (event.tick2.y - event.tick.y) * part;
    if (part > 0.04 && part < 0.96 && Math.abs(along - at) < 4) return event;
  }
  return undefined;
}

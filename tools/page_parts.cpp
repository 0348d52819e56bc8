#include "tools/page_parts.h"

namespace taper::tools {

const char* const kStyle = R"(
body { margin: 0; font: 13px sans-serif; display: grid; grid-template: auto 1fr / 1fr 40%; height: 100vh; }
header { grid-column: 1 / 3; padding: 6px 12px; background: #22303f; color: white; }
main { overflow: auto; } aside { overflow: auto; border-left: 1px solid #ccc; padding: 8px; }
.panel { display: none; padding: 8px; } .panel.shown { display: block; }
.tab { border: 0; padding: 4px 10px; margin-right: 2px; } .tab.shown { background: #ffd58a; }
.node { cursor: pointer; } .node.chosen rect { stroke: #c0392b; stroke-width: 3; }
pre { white-space: pre-wrap; font: 12px monospace; margin: 4px 0 12px; } pre.listing { white-space: pre; }
mark { background: #ffe08a; } table { border-collapse: collapse; } td, th { padding: 2px 8px; text-align: right; border-bottom: 1px solid #ddd; }
td.left, th.left { text-align: left; } tr.call { cursor: pointer; } tr.call:hover { background: #eef; }
)";

const char* const kReportTabs =
    "<button class=\"tab\" data-panel=\"kernels\">kernels</button>\n"
    "<button class=\"tab\" data-panel=\"timeline\">timeline</button>\n"
    "<button class=\"tab\" data-panel=\"memory\">memory</button>\n";

const char* const kReportPanels =
    "<section class=\"panel\" id=\"kernels\"></section>\n"
    "<section class=\"panel\" id=\"timeline\"></section>\n"
    "<section class=\"panel\" id=\"memory\"></section>\n";

const char* const kScript = R"js(
const side = document.getElementById('side');
function make(parent, name, text, attributes) {
  const xml = ['svg', 'rect', 'title', 'text'].includes(name) ? 'http://www.w3.org/2000/svg' : 'http://www.w3.org/1999/xhtml';
  const element = document.createElementNS(xml, name);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const key in attributes || {}) element.setAttribute(key, attributes[key]);
  parent.appendChild(element);
  return element;
}
function show(panel) {
  for (const e of document.querySelectorAll('.panel')) e.classList.toggle('shown', e.id === panel);
  for (const e of document.querySelectorAll('.tab')) e.classList.toggle('shown', e.dataset.panel === panel);
}
function toMiddle(node) {
  if (node) node.scrollIntoView({block: 'center', inline: 'center'});
}
function percent(call) { return call.percent.toFixed(1) + ' % of ' + call.bound; }
function showCall(call) {
  make(side, 'h3', 'kernel ' + call.call + ': ' + call.lowering, {id: 'kernel'});
  make(side, 'p', (call.seconds * 1e6).toFixed(1) + ' us, ' + call.gflops.toFixed(1) + ' GFLOP/s, ' +
    call.gbps.toFixed(1) + ' GB/s, ' + percent(call), {id: 'time'});
  if (call.location) make(side, 'p', 'at ' + call.location, {id: 'location'});
  make(side, 'pre', call.spec, {id: 'spec'});
  for (const routine of call.routines) {
    make(side, 'h4', routine.name + ', ' + routine.bytes + ' bytes');
    make(side, 'pre', routine.listing, {class: 'listing'});
  }
}
function showText(stage, value) {
  const pre = make(side, 'pre', '');
  for (const line of texts[stage].split('\n'))
    make(pre, line.startsWith('  %' + value + ' = ') ? 'mark' : 'span', line + '\n');
  const chosen = pre.querySelector('mark');
  if (chosen) make(side, 'pre', chosen.textContent.trim(), {id: 'definition'});
  return pre;
}
function choose(stage, value) {
  side.replaceChildren();
  for (const e of document.querySelectorAll('.node.chosen')) e.classList.remove('chosen');
  for (const e of document.querySelectorAll('#stage' + stage + ' .node'))
    if (Number(e.dataset.value) === value) e.classList.add('chosen');
  toMiddle(document.querySelector('.node.chosen'));
  if (report && stage === texts.length - 1)
    for (const call of report.calls) if (call.value === value) showCall(call);
  const pre = showText(stage, value);
  const chosen = pre.querySelector('mark');
  if (chosen && !document.getElementById('kernel')) chosen.scrollIntoView({block: 'center'});
}
function kernelTable() {
  const panel = document.getElementById('kernels');
  make(panel, 'p', report.isa + ', ' + report.threads + ' threads, batch ' + report.batch + ': ' +
    (report.step_seconds * 1e3).toFixed(3) + ' ms a step; roofline ' + report.peak_gflops.toFixed(0) +
    ' GFLOP/s and ' + report.peak_gbps.toFixed(1) + ' GB/s; waiting at barriers ' +
    (report.barrier_share * 100).toFixed(1) + ' % of all threads\' time');
  const table = make(panel, 'table');
  const head = make(table, 'tr');
  for (const name of ['kernel', 'lowering', 'us', 'share', 'GFLOP/s', 'GB/s', 'roofline'])
    make(head, 'th', name);
  const total = report.calls.reduce((sum, c) => sum + c.seconds, 0);
  for (const call of [...report.calls].sort((a, b) => b.seconds - a.seconds)) {
    const row = make(table, 'tr', null, {class: 'call'});
    for (const cell of [call.call, call.lowering, (call.seconds * 1e6).toFixed(1),
        (100 * call.seconds / total).toFixed(1) + ' %', call.gflops.toFixed(1), call.gbps.toFixed(1), percent(call)])
      make(row, 'td', cell);
    row.onclick = () => { side.replaceChildren(); showCall(call); };
  }
}
function colour(i) { return 'hsl(' + (i * 67 % 360) + ' 60% 72%)'; }
function box(svg, x, y, width, height, fill, title, call) {
  const rect = make(svg, 'rect', null, {x: x, y: y, width: Math.max(width, 0.5), height: height, fill: fill, stroke: '#555', 'stroke-width': 0.3});
  make(rect, 'title', title);
  if (call) rect.onclick = () => { side.replaceChildren(); showCall(call); };
}
function timeline() {
  const width = 1100, row = 34;
  const svg = make(document.getElementById('timeline'), 'svg', null, {width: width + 60, height: row * report.threads + 30, 'font-size': 11});
  const end = Math.max(...report.events.map(e => e.end));
  for (let t = 0; t < report.threads; ++t) make(svg, 'text', 'thread ' + t, {x: 0, y: t * row + 20});
  for (const e of report.events) {
    const call = report.calls[e.call];
    const what = e.wait ? 'waiting before kernel ' : 'kernel ';
    box(svg, 60 + e.start / end * width, e.thread * row + 4, (e.end - e.start) / end * width, row - 8,
      e.wait ? '#eee' : colour(e.call), what + e.call + ', ' + call.lowering + ': ' + ((e.end - e.start) * 1e6).toFixed(1) + ' us', call);
  }
  make(svg, 'text', '0', {x: 60, y: row * report.threads + 20});
  make(svg, 'text', (end * 1e6).toFixed(0) + ' us', {x: width, y: row * report.threads + 20});
}
function memoryPlan() {
  const width = 1000, height = 560;
  const panel = document.getElementById('memory');
  make(panel, 'p', 'The arena, ' + report.arena_bytes + ' bytes at batch ' + report.batch + ', from top to bottom; kernel calls from left to right.');
  const svg = make(panel, 'svg', null, {width: width + 10, height: height + 10});
  const calls = report.calls.length;
  report.memory.forEach((b, i) => box(svg, b.first / calls * width, b.offset / report.arena_bytes * height,
    (b.last - b.first + 1) / calls * width, Math.max(b.bytes / report.arena_bytes * height, 0.5), colour(i),
    b.name + ' ' + b.type + ', ' + b.bytes + ' bytes at ' + b.offset + ', live during calls ' + b.first + ' to ' + b.last));
}
document.querySelectorAll('.tab').forEach(tab => tab.onclick = () => {
  show(tab.dataset.panel);
  toMiddle(document.querySelector('.panel.shown .node.op, .panel.shown .node.kernel'));
});
document.querySelectorAll('.stage').forEach((panel, stage) => panel.querySelectorAll('.node').forEach(
  node => node.onclick = () => choose(stage, Number(node.dataset.value))));
if (report) { kernelTable(); timeline(); memoryPlan(); }
show(report ? 'kernels' : 'stage0');
const asked = /^#stage(\d+)=(\d+)$/.exec(location.hash);
if (asked) { show('stage' + asked[1]); choose(Number(asked[1]), Number(asked[2])); }
)js";

}  // namespace taper::tools

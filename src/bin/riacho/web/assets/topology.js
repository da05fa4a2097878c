// The topology as a drawing: topics at the banks, operators in between, drums for state, and what flows.

import { el, say, svg } from "./dom.js";
import * as format from "./format.js";
import { texts } from "./texts.js";

const t = texts.start;
const NODE = { width: 170, height: 50 };
const DRUM = { width: 150, height: 44, gap: 10 };
const GAP = { least: 24, most: 140, across: 20 };
const PAD = { x: 18, top: 34, bottom: 18 };
const REGION_GAP = 26;
/** Below this width the water flows downward. */
const NARROW = 760;
const LETTERS = 24;
/** Smaller nobody can read it: then it scrolls. */
const SCALE_MIN = 0.72;

/** KSTREAM-AGGREGATE-0000000003 is "aggregate 3"; names that somebody gave stay. */
const spoken = (name) => {
  const own = /^K(?:STREAM|TABLE)-(.*?)-0*(\d+)$/.exec(name);
  return own ? `${own[1].toLowerCase().replaceAll("-", " ")} ${own[2]}` : name;
};
const clipped = (text) => format.label(text, LETTERS);

/** The layer of a node is the longest way to it. */
const layersOf = (nodes) => {
  const byName = new Map(nodes.map((node) => [node.name, { ...node, parents: [], layer: 0 }]));
  for (const node of byName.values()) for (const child of node.children) byName.get(child)?.parents.push(node);
  const depth = new Map();
  const layer = (node) => {
    if (!depth.has(node.name)) {
      // A graph with a cycle is no topology; the mark only keeps a wrong answer from hanging the page.
      depth.set(node.name, 0);
      depth.set(node.name, Math.max(0, ...node.parents.map((parent) => layer(parent) + 1)));
    }
    return depth.get(node.name);
  };
  const layers = [];
  for (const node of byName.values()) (layers[layer(node)] ??= []).push(node);
  const place = new Map();
  for (const nodesOfLayer of layers) {
    const middle = (node) => (node.parents.length ? node.parents.reduce((sum, parent) => sum + (place.get(parent.name) ?? 0), 0) / node.parents.length : 0);
    nodesOfLayer.sort((a, b) => middle(a) - middle(b));
    nodesOfLayer.forEach((node, index) => place.set(node.name, index - (nodesOfLayer.length - 1) / 2));
  }
  return layers;
};

const heightOf = (node) => NODE.height + (node.store ? DRUM.gap + DRUM.height : 0);

/** Coordinates of one sub-topology's nodes, from (0, 0). */
const arrange = (layers, downward, room) => {
  const boxes = new Map();
  if (downward) {
    const width = Math.max(...layers.map((layer) => layer.length * NODE.width + (layer.length - 1) * GAP.across));
    let y = 0;
    for (const layer of layers) {
      let x = (width - (layer.length * NODE.width + (layer.length - 1) * GAP.across)) / 2;
      for (const node of layer) {
        boxes.set(node.name, { x, y, node });
        x += NODE.width + GAP.across;
      }
      y += Math.max(...layer.map(heightOf)) + 34;
    }
    return { boxes, width, height: y - 34 };
  }
  const tall = (layer) => layer.reduce((sum, node) => sum + heightOf(node), 0) + (layer.length - 1) * GAP.across;
  const height = Math.max(...layers.map(tall));
  // The layers spread over the room there is, as far as the eye can follow a line.
  const along = Math.min(GAP.most, Math.max(GAP.least, (room - layers.length * NODE.width) / Math.max(1, layers.length - 1)));
  let x = 0;
  for (const layer of layers) {
    let y = (height - tall(layer)) / 2;
    for (const node of layer) {
      boxes.set(node.name, { x, y, node });
      y += heightOf(node) + GAP.across;
    }
    x += NODE.width + along;
  }
  return { boxes, width: x - along, height };
};

const curve = (from, to, downward) => {
  if (downward) {
    const [x1, y1, x2, y2] = [from.x + NODE.width / 2, from.y + heightOf(from.node), to.x + NODE.width / 2, to.y];
    const bend = Math.max(14, (y2 - y1) / 2);
    return `M${x1} ${y1}C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`;
  }
  const [x1, y1, x2, y2] = [from.x + NODE.width, from.y + NODE.height / 2, to.x, to.y + NODE.height / 2];
  const bend = Math.max(22, Math.abs(x2 - x1) / 2);
  return `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`;
};

/** Down to the bank between two regions, along it, and down again: never across a node. */
const between = (from, to, bank) => {
  const [x1, y1, x2, y2] = [from.x + NODE.width / 2, from.y + NODE.height, to.x + NODE.width / 2, to.y];
  const turn = Math.sign(x2 - x1) * Math.min(12, Math.abs(x2 - x1) / 2);
  const r = 12;
  return `M${x1} ${y1}V${bank - r}Q${x1} ${bank} ${x1 + turn} ${bank}H${x2 - turn}Q${x2} ${bank} ${x2} ${bank + r}V${y2}`;
};

const drawNode = ({ x, y, node }) => {
  const topic = node.type !== "processor";
  const [main, small] = topic ? [node.topic ?? node.name, t.kinds[node.type]] : [spoken(node.name), t.kinds.processor];
  const shape = svg("g", { class: `node ${topic ? "topic" : ""} ${node.store ? "stateful" : ""}`, transform: `translate(${x} ${y})` },
    svg("title", {}, node.name),
    svg("rect", { width: NODE.width, height: NODE.height, rx: topic ? NODE.height / 2 : 10 }),
    svg("text", { x: NODE.width / 2, y: 22, "text-anchor": "middle" }, clipped(main)),
    svg("text", { x: NODE.width / 2, y: 38, "text-anchor": "middle", class: "small" }, small));
  if (!node.store) return [shape];
  const left = x + (NODE.width - DRUM.width) / 2;
  const top = y + NODE.height + DRUM.gap;
  const [w, h, r] = [DRUM.width, DRUM.height, 7];
  const bytes = svg("text", { x: w / 2, y: 38, "text-anchor": "middle", class: "small", "data-store": node.store });
  return [shape, svg("path", { class: "edge", d: `M${x + NODE.width / 2} ${y + NODE.height}v${DRUM.gap + r}` }),
    svg("g", { class: "store", transform: `translate(${left} ${top})` }, svg("title", {}, node.store),
      svg("path", { d: `M0 ${r}v${h - 2 * r}a${w / 2} ${r} 0 0 0 ${w} 0v${-(h - 2 * r)}` }),
      svg("ellipse", { cx: w / 2, cy: r, rx: w / 2, ry: r }),
      svg("text", { x: w / 2, y: 27, "text-anchor": "middle" }, clipped(node.store)), bytes)];
};

export const topologyDrawing = () => {
  const element = el("div", { class: "topology", tabindex: "0", role: "img" });
  let drawn = "";
  let parts = null;

  const draw = (app, width) => {
    const downward = width < NARROW;
    const regions = app.subtopologies.map((subtopology) => ({ subtopology, ...arrange(layersOf(subtopology.nodes), downward, width - 2 * PAD.x - 26) }));
    const inner = Math.max(...regions.map((region) => region.width), 0);
    const edges = svg("g");
    const nodes = svg("g");
    const frames = svg("g");
    const names = svg("g");
    const flows = new Map();
    const labels = new Map();
    const [sinks, sources, tops] = [new Map(), new Map(), new Map()];
    let top = 12;
    for (const { subtopology, boxes, width: own, height } of regions) {
      const left = 12 + PAD.x + (inner - own) / 2;
      const label = svg("text", { class: "region-label", x: 12 + PAD.x, y: top + 22 });
      labels.set(subtopology.id, label);
      tops.set(subtopology.id, top);
      frames.append(svg("rect", { class: "region", x: 12, y: top, width: inner + 2 * PAD.x, height: height + PAD.top + PAD.bottom, rx: 12 }));
      names.append(label);
      for (const box of boxes.values()) [box.x, box.y] = [box.x + left, box.y + top + PAD.top];
      flows.set(subtopology.id, []);
      for (const box of boxes.values()) {
        nodes.append(...drawNode(box));
        if (box.node.type === "sink") sinks.set(box.node.topic, box);
        if (box.node.type === "source") sources.set(box.node.topic, { box, id: subtopology.id });
        for (const child of box.node.children) {
          const to = boxes.get(child);
          if (!to) continue;
          const d = curve(box, to, downward);
          const flow = svg("path", { class: "flow still", d });
          flows.get(subtopology.id).push(flow);
          edges.append(svg("path", { class: "edge", d }), flow);
        }
      }
      top += height + PAD.top + PAD.bottom + REGION_GAP;
    }
    // A repartition topic leads from one sub-topology into another.
    for (const [topic, { box, id }] of sources) {
      const from = sinks.get(topic);
      if (!from) continue;
      const d = between(from, box, (tops.get(id) ?? 0) - REGION_GAP / 2);
      const flow = svg("path", { class: "flow still", d });
      flows.get(id).push(flow);
      edges.append(svg("path", { class: "edge", d }), flow);
    }
    const [w, h] = [inner + 2 * PAD.x + 24, top - REGION_GAP + 12];
    const shown = Math.min(w, Math.max(width - 2, w * SCALE_MIN));
    const picture = svg("svg", { viewBox: `0 0 ${w} ${h}`, width: shown, height: (h * shown) / w, "aria-hidden": "true" }, frames, edges, nodes, names);
    element.replaceChildren(picture);
    parts = { flows, labels, picture };
  };

  const show = (app) => {
    element.setAttribute("aria-label", t.topologyLabel(app.id));
    const width = element.clientWidth || 1000;
    const structure = JSON.stringify([app.id, width < NARROW, Math.round(width / 40), app.subtopologies.map((one) => [one.id, one.nodes])]);
    if (structure !== drawn) {
      draw(app, width);
      drawn = structure;
    }
    for (const subtopology of app.subtopologies) {
      const rate = subtopology.records_per_second;
      say(parts.labels.get(subtopology.id), `${t.subtopology} ${subtopology.id} · ${format.rate(rate)}${texts.perSecond} · ${t.taskLag} ${format.brief(subtopology.lag)}`);
      const pace = !rate ? "still" : rate < 100 ? "slow" : "fast";
      for (const flow of parts.flows.get(subtopology.id)) flow.setAttribute("class", `flow ${pace}`);
      for (const store of subtopology.stores) {
        for (const node of parts.picture.querySelectorAll("[data-store]")) {
          if (node.dataset.store === store.name) say(node, store.bytes === null ? "" : format.bytes(store.bytes));
        }
      }
    }
  };
  return { element, show };
};

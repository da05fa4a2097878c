// The map: countries drawn by ECharts from a file of ours, sales gathered by the server into cells of the view.

import { Chart, loadLibrary } from "./chart.js";
import { button, say, el } from "./dom.js";
import { colourOf } from "./palette.js";
import * as format from "./format.js";
import { texts } from "./texts.js";

const HOME = { center: [0, 18], zoom: 1 };
const ZOOM_MAX = 200;
const WORLD = { west: -180, south: -60, east: 180, north: 84 };

const t = texts.sales;

/** `moved` is called when other cells are wanted; `query()` says which. */
export const salesMap = ({ of, name, moved }) => {
  let view = { bbox: [-180, -90, 180, 90], zoom: 0 };
  let products = [];
  let timer = null;

  const hint = el("p", { class: "hint" });
  const control = (label, drawing, act) => button(label, { ...drawing, class: "button small", onclick: act, "data-map": label });
  const turn = (dx, dy) => () => shift(dx, dy);
  const arrow = (text) => ({ text });
  const tools = [
    control(t.zoomIn, { icon: "plus", }, () => zoom(1.8)),
    control(t.zoomOut, { icon: "minus" }, () => zoom(1 / 1.8)),
    control(t.west, arrow("←"), turn(-1, 0)), control(t.north, arrow("↑"), turn(0, 1)),
    control(t.south, arrow("↓"), turn(0, -1)), control(t.east, arrow("→"), turn(1, 0)),
    control(t.reset, { icon: "globe" }, () => place(HOME)),
  ];

  const chart = new Chart({
    of, name, title: t.map, size: "", shape: "tall", tools, below: [hint],
    columns: [
      { field: "product", title: t.product }, { field: "latitude", title: t.latitude, kind: "number", format: format.degree },
      { field: "longitude", title: t.longitude, kind: "number", format: format.degree },
      { field: "quantity", title: t.quantity, kind: "number", format: format.count }, { field: "amount", title: t.amount, kind: "number", format: format.money },
    ],
    // The most first; all of them are in the chart.
    rows: ({ cells }) => [...cells].sort((a, b) => b.quantity - a.quantity).slice(0, 100),
    draw: ({ cells }, colours, width) => {
      const most = Math.max(1, ...cells.map((cell) => cell.quantity));
      const largest = width < 500 ? 20 : 30;
      products = [...new Set(cells.map((cell) => cell.product))].sort();
      return {
        geo: {
          map: "world", roam: true, ...current(), scaleLimit: { min: 1, max: ZOOM_MAX }, boundingCoords: [[WORLD.west, WORLD.north], [WORLD.east, WORLD.south]],
          left: 0, right: 0, top: 0, bottom: 26, preserveAspect: "contain", aspectScale: 1, silent: true,
          itemStyle: { areaColor: colours.light, borderColor: colours.strong, borderWidth: 0.5 }, emphasis: { disabled: true }, select: { disabled: true },
        },
        legend: { bottom: 0, left: "center", type: "scroll", icon: "circle", itemGap: 16, textStyle: { color: colours.ink, fontSize: 13 }, formatter: (product) => format.label(product) },
        tooltip: { trigger: "item", formatter: ({ data }) => `${format.label(data.product)}\n${format.count(data.quantity)} · ${format.money(data.amount)}` },
        series: products.map((product) => ({
          id: product, name: product, type: "scatter", coordinateSystem: "geo", color: colourOf(product),
          itemStyle: { opacity: 0.78, borderColor: colours.surface, borderWidth: 0.8 },
          // The small ones last, so that none lies hidden under a large one.
          data: cells.filter((cell) => cell.product === product).sort((a, b) => b.quantity - a.quantity).map((cell) => ({
            value: [cell.longitude, cell.latitude, cell.quantity], symbolSize: 5 + (largest - 5) * Math.sqrt(cell.quantity / most), product, quantity: cell.quantity, amount: cell.amount,
          })),
        })),
      };
    },
  });

  const current = () => {
    const geo = chart.instance?.getOption()?.geo?.[0];
    return geo ? { center: geo.center ?? HOME.center, zoom: geo.zoom ?? HOME.zoom } : HOME;
  };
  const place = (target) => {
    chart.instance?.setOption({ geo: target });
    settle();
  };
  const zoom = (factor) => {
    const { center, zoom: old } = current();
    place({ center, zoom: Math.min(ZOOM_MAX, Math.max(1, old * factor)) });
  };
  const shift = (dx, dy) => {
    const { center, zoom: at } = current();
    const limit = (value, most) => Math.min(most, Math.max(-most, value));
    place({ zoom: at, center: [limit(center[0] + (dx * 60) / at, 180), limit(center[1] + (dy * 40) / at, 85)] });
  };

  /** What is seen now, in degrees; the corners of the canvas are asked, since the map keeps its proportions. */
  const look = () => {
    const { instance, canvas } = chart;
    if (instance === null) return;
    const corner = (x, y) => instance.convertFromPixel("geo", [x, y]);
    const [nw, se] = [corner(0, 0), corner(canvas.clientWidth, canvas.clientHeight)];
    if (![...nw, ...se].every(Number.isFinite)) return;
    const within = (value, most) => Number(Math.min(most, Math.max(-most, value)).toFixed(3));
    const bbox = [within(nw[0], 180), within(se[1], 90), within(se[0], 180), within(nw[1], 90)];
    view = { bbox, zoom: Math.min(8, Math.max(0, Math.round(Math.log2(current().zoom)))) };
  };
  const settle = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const before = query();
      look();
      if (query() !== before) moved();
    }, 250);
  };
  const query = () => `bbox=${view.bbox.join(",")}&zoom=${view.zoom}`;

  chart.begun = (instance) => {
    // ECharts changes what it is told of the roam behind our back: the next draw begins where the user is.
    instance.on("georoam", settle);
  };

  const load = async () => {
    const [echarts, response] = await Promise.all([loadLibrary(), fetch("/assets/vendor/world/world.json")]);
    echarts.registerMap("world", await response.json());
  };
  const ready = load();

  return {
    element: chart.element,
    query,
    show: async (data) => {
      say(hint, `${t.mapHint(format.number(data.cell_degrees))} ${data.outside ? t.outside(format.count(data.outside)) : ""}`);
      try {
        await ready;
      } catch (error) {
        console.error(error);
      }
      chart.show(data);
    },
  };
};

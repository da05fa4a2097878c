// Colours that colour-blind eyes tell apart, fixed per name: one product has one colour everywhere. They are Okabe and
// Ito's; orange and sky blue are darker than theirs, to stand out from white as well as from black (3:1).

const SET = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#c27c00", "#3a93cf", "#7a6fbe", "#8c6d31"];

const FIXED = new Map([
  ["Product A", "#0072b2"], ["Product B", "#d55e00"], ["Product C", "#009e73"],
  ["Manhã", "#c27c00"], ["Tarde", "#3a93cf"], ["Noite", "#0072b2"],
  ["Mobile", "#0072b2"], ["Laptop", "#d55e00"], ["Tablet", "#009e73"],
]);

const OTHER = "#8a9699";

const hash = (text) => {
  let h = 2166136261;
  for (const unit of text) h = Math.imul(h ^ unit.codePointAt(0), 16777619);
  return h >>> 0;
};

/** The colour of a name: the same in every chart, on every page, after every refresh. */
export const colourOf = (name, other = false) => (other ? OTHER : (FIXED.get(name) ?? SET[hash(name) % SET.length]));

/** Beside the colour, lines differ in shape. */
const SYMBOLS = ["circle", "triangle", "rect", "diamond", "pin", "roundRect", "arrow"];
const DASHES = ["solid", [7, 4], [2, 4], [10, 3, 2, 3], "solid", [7, 4], [2, 4]];
export const shapeOf = (index) => ({ symbol: SYMBOLS[index % SYMBOLS.length], dash: DASHES[index % DASHES.length] });

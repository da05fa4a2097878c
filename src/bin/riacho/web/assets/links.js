// Where the pages are: here, or in the server of another application, as the setting pages.links says.

const { here } = document.documentElement.dataset;

const elsewhere = new Map(
  (document.documentElement.dataset.links ?? "").split(",").filter(Boolean).map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  }),
);

/** Whether the application of this page is the one that runs here. */
export const isHere = (page) => page === here;

export const isElsewhere = (page) => elsewhere.has(page);

export const hrefOf = (page) => {
  const path = page === "start" ? "/" : `/${page}`;
  return elsewhere.has(page) ? `${elsewhere.get(page).replace(/\/$/, "")}${path}` : path;
};

// Where the pages are: here, or in the server of another application, as the setting pages.links says.

const elsewhere = new Map(
  (document.documentElement.dataset.links ?? "").split(",").filter(Boolean).map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at), pair.slice(at + 1)];
  }),
);

export const isElsewhere = (page) => elsewhere.has(page);

export const hrefOf = (page) => {
  const here = page === "start" ? "/" : `/${page}`;
  return elsewhere.has(page) ? `${elsewhere.get(page).replace(/\/$/, "")}${here}` : here;
};

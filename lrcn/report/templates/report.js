"use strict";
// Classes of a confusion matrix in another order: every cell and name goes to its class's new place.
for (const matrix of document.querySelectorAll(".matrix")) {
  const orders = JSON.parse(matrix.dataset.orders), size = Number(matrix.dataset.size);
  const drawing = matrix.querySelector("svg");
  matrix.querySelector("select").addEventListener("change", event => {
    const place = [];
    orders[event.target.value].forEach((number, at) => { place[number] = at; });
    for (const part of drawing.querySelectorAll("[data-r], [data-c]")) {
      const {r, c} = part.dataset, across = c === undefined ? 0 : size * (place[c] - c), down = r === undefined ? 0 : size * (place[r] - r);
      part.style.translate = `${across}px ${down}px`;
    }
  });
  let zoom = 1;
  for (const button of matrix.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      zoom = Math.min(Math.max(zoom * Number(button.dataset.zoom), 0.5), 8);
      drawing.style.setProperty("--zoom", zoom);
    });
  }
}
// On paper nothing can be unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("main > section > details:not([open])")];
  for (const each of folded) each.open = true;
});
addEventListener("afterprint", () => { for (const each of folded) each.open = false; });

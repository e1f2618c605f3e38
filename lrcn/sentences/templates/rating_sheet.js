"use strict";
const byId = (id) => document.getElementById(id);
const sheet = JSON.parse(byId("sheet").textContent);
const place = "lrcn-ratings-" + sheet.sheet + "-" + sheet.part;  // in the browser's storage, which other pages may share
const nothing = () => ({ rater: "", answers: {} });  // answers: image -> criterion -> a rank or null for each caption
let state = nothing();
let at = 0;
let saved = true;  // in a file or in the browser's storage

/* The ranks of an image's captions; a caption that is alone is the first. */
function ranksOf(image, criterion, answers) {
  const most = image.captions.length, ranks = ((answers[image.id] || {})[criterion]) || [];
  return image.captions.map((_, row) =>
    most === 1 ? 1 : Number.isInteger(ranks[row]) && ranks[row] >= 1 && ranks[row] <= most ? ranks[row] : null);
}

function answersOf(image, answers) {
  return Object.fromEntries(sheet.criteria.map((criterion) => [criterion, ranksOf(image, criterion, answers)]));
}

function finished(image) {
  return Object.values(answersOf(image, state.answers)).every((ranks) => !ranks.includes(null));
}

function firstUnfinished() {
  const first = sheet.images.findIndex((image) => !finished(image));
  return first < 0 ? sheet.images.length - 1 : first;
}

function notice(text) {
  byId("notice").textContent = text;
}

// ---- what is kept ----

function keep() {
  try {
    localStorage.setItem(place, JSON.stringify(state));
    saved = true;
  } catch (error) {
    saved = false;
    byId("unkept").hidden = false;
  }
}

function take(text) {
  let kept = null;
  try {
    kept = JSON.parse(text);
  } catch (error) {}  // what is no JSON is not ours
  state = nothing();
  if (kept && typeof kept.answers === "object") state = { rater: String(kept.rater || ""), answers: kept.answers || {} };
  byId("rater").value = state.rater;
}

function restore() {
  try {
    take(localStorage.getItem(place));
    localStorage.setItem(place + "-try", "");  // whether the browser keeps anything; what is there is left as it is
    localStorage.removeItem(place + "-try");
  } catch (error) {
    byId("unkept").hidden = false;
  }
}

// ---- an image and its captions ----

function fieldset(row, column) {
  return document.querySelector('fieldset[data-row="' + row + '"][data-column="' + column + '"]');
}

function focusOn(row, column) {
  const ranks = fieldset(row, column);
  if (ranks) (ranks.querySelector("input:checked") || ranks.querySelector("input")).focus();
  return Boolean(ranks);
}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function ranksField(image, row, column) {
  const criterion = sheet.criteria[column], ranks = make("div", { className: "ranks" });
  image.captions.forEach((_, other) => {
    const input = make("input", { type: "radio", name: criterion + "-" + row, value: other + 1 });
    input.addEventListener("click", () =>
      rank(row, column, ranksOf(image, criterion, state.answers)[row] === other + 1 ? null : other + 1));
    ranks.append(make("label", {}, input, make("span", {}, String(other + 1))));
  });
  const field = make("fieldset", {}, make("legend", {}, criterion), ranks);
  Object.assign(field.dataset, { row, column });
  field.setAttribute("aria-describedby", "caption-" + row);
  return field;
}

function show(number) {
  at = Math.min(Math.max(number, 0), sheet.images.length - 1);
  const image = sheet.images[at], alone = image.captions.length === 1;
  byId("picture").src = byId("enlarged").src = image.picture;
  const name = "Image " + (at + 1) + ", which the captions describe";
  byId("enlarge").setAttribute("aria-label", name + ": enlarge");
  byId("small").setAttribute("aria-label", name + ": close");
  byId("captions").replaceChildren(...image.captions.map((caption, row) => {
    const text = make("p", { id: "caption-" + row, dir: "auto" }, caption);
    const criteria = make("div", { className: "criteria" });
    if (!alone) criteria.append(...sheet.criteria.map((_, column) => ranksField(image, row, column)));
    return make("li", { className: "caption" }, text, criteria);
  }));
  notice(alone ? "All say the same of this image: there is nothing to rank." : "");
  showRanks();
  if (!focusOn(0, 0)) byId("next").focus();
}

function showRanks() {
  const image = sheet.images[at], done = sheet.images.filter(finished).length;
  for (const field of document.querySelectorAll("fieldset")) {
    const ranks = ranksOf(image, sheet.criteria[field.dataset.column], state.answers);
    for (const input of field.querySelectorAll("input")) {
      const value = Number(input.value);
      input.checked = ranks[field.dataset.row] === value;
      input.parentElement.className = ranks.includes(value) ? "taken" : "";
    }
  }
  byId("bar").value = done;
  byId("where").textContent = "Image " + (at + 1) + " of " + sheet.images.length + ";";
  const alike = sheet.images.filter((each) => each.captions.length === 1).length;  // there is nothing to rank
  byId("done").textContent = done + " finished" + (alike ? " (" + alike + " with nothing to rank)" : "")
    + (done === sheet.images.length ? ": save the answers." : ".");
  byId("previous").disabled = at === 0;
  byId("next").disabled = at === sheet.images.length - 1;
}

function rank(row, column, value) {
  const image = sheet.images[at], criterion = sheet.criteria[column];
  const ranks = ranksOf(image, criterion, state.answers);
  ranks[row] = value;
  state.answers[image.id] = { ...state.answers[image.id], [criterion]: ranks };
  notice("");
  keep();
  showRanks();
}

// The rank of a field that has one, else of the field before, where a digit was given last.
function takeBack(row, column) {
  const image = sheet.images[at], ranked = (r, c) => ranksOf(image, sheet.criteria[c], state.answers)[r] !== null;
  if (!ranked(row, column)) {
    if (row > 0) row -= 1;
    else if (column > 0) [row, column] = [image.captions.length - 1, column - 1];
    focusOn(row, column);
  }
  rank(row, column, null);
}

function pressed(event) {
  const field = event.target.closest("fieldset");
  if (!field || event.ctrlKey || event.altKey || event.metaKey) return;
  const row = Number(field.dataset.row), column = Number(field.dataset.column), most = sheet.images[at].captions.length;
  const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (move) focusOn(row + move[0], column + move[1]);
  else if (event.key === "Enter") show(at + 1);
  else if (event.key === "Backspace" || event.key === "Delete") takeBack(row, column);
  else if (/^[0-9]$/.test(event.key)) {
    const value = Number(event.key);
    if (value < 1 || value > most) notice("A rank is a number from 1 to " + most + ".");
    else {
      rank(row, column, value);
      if (!focusOn(row + 1, column) && !focusOn(0, column + 1)) byId(byId("next").disabled ? "save" : "next").focus();
    }
  } else return;
  event.preventDefault();
}

// ---- files ----

function saveFile() {
  if (!state.rater) {
    notice("Fill in your name or initials first.");
    byId("rater").focus();
    return;
  }
  const answers = Object.fromEntries(sheet.images
    .filter((image) => state.answers[image.id] || image.captions.length === 1)
    .map((image) => [image.id, answersOf(image, state.answers)]));
  const content = { format: sheet.format, sheet: sheet.sheet, part: sheet.part, rater: state.rater,
    saved: new Date().toISOString(), answers };
  const link = make("a", { download: "answers_" + state.rater.replace(/[^\p{L}\p{M}\p{N}]+/gu, "_") + "_" + sheet.part + ".json" });
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1) + "\n"], { type: "application/json" }));
  document.body.append(link);
  link.click();
  link.remove();
  saved = true;
}

function loadText(name, text) {
  let content = null;
  try {
    content = JSON.parse(text);
  } catch (error) {}  // said below
  if (!content || content.format !== sheet.format || typeof content.answers !== "object") {
    notice(name + " holds no answers.");
  } else if (content.sheet !== sheet.sheet || content.part !== sheet.part) {
    notice(name + " holds answers of another sheet.");
  } else if (!Object.keys(state.answers).length || confirm("Put the answers of " + name + " over those shown here?")) {
    for (const image of sheet.images)
      if ((content.answers || {})[image.id]) state.answers[image.id] = answersOf(image, content.answers);
    state.rater = byId("rater").value = String(content.rater || state.rater);
    keep();
    show(firstUnfinished());
  }
}

function load() {
  const file = byId("load").files[0], reader = new FileReader();
  if (!file) return;
  reader.addEventListener("load", () => loadText(file.name, String(reader.result)));
  reader.addEventListener("error", () => notice(file.name + " cannot be read."));
  reader.readAsText(file);
  byId("load").value = "";
}

function beginAnew() {
  if (!confirm("Forget the name and all ranks of this sheet? Answers that you saved as files stay.")) return;
  take(null);
  keep();
  show(0);
  byId("rater").focus();
}

// ---- the page ----

byId("rater").addEventListener("input", () => {
  state.rater = byId("rater").value.trim();
  notice("");
  keep();
});
byId("rater").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !focusOn(0, 0)) byId("next").focus();
});
byId("captions").addEventListener("keydown", pressed);
byId("previous").addEventListener("click", () => show(at - 1));
byId("next").addEventListener("click", () => show(at + 1));
byId("unfinished").addEventListener("click", () => show(firstUnfinished()));
byId("save").addEventListener("click", saveFile);
byId("load").addEventListener("change", load);
byId("anew").addEventListener("click", beginAnew);
byId("enlarge").addEventListener("click", () => byId("large").showModal());
byId("small").addEventListener("click", () => byId("large").close());
document.addEventListener("keydown", (event) => {
  if (byId("large").open || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "PageDown" || event.key === "PageUp") show(at + (event.key === "PageDown" ? 1 : -1));
  else if (event.key.toLowerCase() === "z" && event.target !== byId("rater")) byId("large").showModal();
  else return;
  event.preventDefault();
});
window.addEventListener("storage", (event) => {  // the same sheet in another tab
  if (event.key !== place) return;
  take(event.newValue);
  showRanks();
});
window.addEventListener("beforeunload", (event) => {
  if (!saved) event.preventDefault();
});
byId("picture").addEventListener("error", () => {
  notice("The picture " + sheet.images[at].picture + " is not there: keep the folder whole.");
});
restore();
byId("rules").open = !Object.keys(state.answers).length;
show(firstUnfinished());
if (!state.rater) byId("rater").focus();

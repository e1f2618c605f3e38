"use strict";
const byId = (id) => document.getElementById(id);
const sheet = JSON.parse(byId("sheet").textContent);
const place = "lrcn-ratings-" + sheet.sheet + "-" + sheet.part;  // in the browser's storage
let state = { rater: "", answers: {} };  // answers: image -> criterion -> a rank or null for each caption
let at = 0;
let saved = true;  // in a file or in the browser's storage

function ranksOf(image, criterion, answers) {
  const given = ((answers[image.id] || {})[criterion]) || [];
  return image.captions.map((_, k) =>
    Number.isInteger(given[k]) && given[k] >= 1 && given[k] <= image.captions.length ? given[k] : null);
}

function finished(image) {
  return sheet.criteria.every((criterion) => ranksOf(image, criterion, state.answers).every((rank) => rank !== null));
}

function keep() {
  try {
    localStorage.setItem(place, JSON.stringify(state));
    saved = true;
  } catch (error) {
    saved = false;
    byId("notice").textContent = "This browser does not keep what you fill in: save the answers before you close it.";
  }
}

function showProgress() {
  const done = sheet.images.filter(finished).length;
  byId("bar").value = done;
  byId("where").textContent = "Image " + (at + 1) + " of " + sheet.images.length + ";";
  byId("done").textContent = done + " finished" + (done === sheet.images.length ? ": save the answers." : ".");
}

function box(row, column) {
  return document.querySelector('input[data-row="' + row + '"][data-column="' + column + '"]');
}

function focusOn(element) {
  if (element) {
    element.focus();
    if (element.select) element.select();
  }
}

function rank(image, row, column, text) {
  const value = Number(text), good = /^[0-9]$/.test(text) && value >= 1 && value <= image.captions.length;
  const answers = state.answers[image.id] = state.answers[image.id] || {};
  const ranks = answers[sheet.criteria[column]] = ranksOf(image, sheet.criteria[column], state.answers);
  ranks[row] = good ? value : null;
  byId("notice").textContent = good || text === "" ? "" : "A rank is a number from 1 to " + image.captions.length + ".";
  keep();
  showProgress();
  return good;
}

function show(number) {
  at = Math.min(Math.max(number, 0), sheet.images.length - 1);
  const image = sheet.images[at], body = byId("captions"), rows = image.captions.length;
  byId("picture").src = image.picture;
  body.textContent = "";
  image.captions.forEach((caption, row) => {
    const line = body.insertRow(), text = line.insertCell();
    text.textContent = caption;
    text.dir = "auto";
    sheet.criteria.forEach((criterion, column) => {
      const input = document.createElement("input");
      input.className = "rank";
      input.inputMode = "numeric";
      input.maxLength = 1;
      input.autocomplete = "off";
      input.dataset.row = row;
      input.dataset.column = column;
      input.setAttribute("aria-label", criterion + " of caption " + (row + 1) + ", rank 1 to " + rows);
      input.value = ranksOf(image, criterion, state.answers)[row] || "";
      input.addEventListener("focus", () => input.select());
      input.addEventListener("input", () => {
        if (!rank(image, row, column, input.value)) input.value = "";
        else focusOn(box(row + 1, column) || box(0, column + 1) || byId("next"));
      });
      input.addEventListener("keydown", (event) => {
        const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
        if (event.key === "Enter") show(at + 1);
        else if (move) focusOn(box(row + move[0], column + move[1]));
        else return;
        event.preventDefault();
      });
      line.insertCell().append(input);
    });
  });
  showProgress();
  focusOn(box(0, 0));
}

function saveFile() {
  if (!state.rater) {
    byId("notice").textContent = "Fill in your name or initials first.";
    byId("rater").focus();
    return;
  }
  const content = { format: sheet.format, sheet: sheet.sheet, part: sheet.part, rater: state.rater,
    saved: new Date().toISOString(), answers: state.answers };
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1) + "\n"], { type: "application/json" }));
  link.download = "answers_" + state.rater.replace(/[^\p{L}\p{M}\p{N}]+/gu, "_") + "_" + sheet.part + ".json";
  document.body.append(link);
  link.click();
  link.remove();
  saved = true;
}

function loadText(name, text) {
  let content;
  try {
    content = JSON.parse(text);
  } catch (error) {
    content = null;
  }
  if (!content || content.format !== sheet.format || typeof content.answers !== "object") {
    byId("notice").textContent = name + " holds no answers.";
  } else if (content.sheet !== sheet.sheet || content.part !== sheet.part) {
    byId("notice").textContent = name + " holds answers of another sheet.";
  } else if (!Object.keys(state.answers).length || confirm("Put the answers of " + name + " over those shown here?")) {
    for (const image of sheet.images) {
      if (!(content.answers || {})[image.id]) continue;
      state.answers[image.id] = {};
      for (const criterion of sheet.criteria)
        state.answers[image.id][criterion] = ranksOf(image, criterion, content.answers);
    }
    state.rater = byId("rater").value = String(content.rater || state.rater);
    byId("notice").textContent = "";
    keep();
    show(firstUnfinished());
  }
}

function firstUnfinished() {
  const first = sheet.images.findIndex((image) => !finished(image));
  return first < 0 ? sheet.images.length - 1 : first;
}

try {
  const kept = JSON.parse(localStorage.getItem(place));
  if (kept && typeof kept.answers === "object") state = { rater: String(kept.rater || ""), answers: kept.answers || {} };
} catch (error) {
  byId("notice").textContent = "This browser does not keep what you fill in: save the answers before you close it.";
}
byId("rater").value = state.rater;
byId("rater").addEventListener("input", () => {
  state.rater = byId("rater").value.trim();
  byId("notice").textContent = "";
  keep();
});
byId("previous").addEventListener("click", () => show(at - 1));
byId("next").addEventListener("click", () => show(at + 1));
byId("unfinished").addEventListener("click", () => show(firstUnfinished()));
byId("save").addEventListener("click", saveFile);
byId("load").addEventListener("change", () => {
  const file = byId("load").files[0], reader = new FileReader();
  if (!file) return;
  reader.addEventListener("load", () => loadText(file.name, String(reader.result)));
  reader.addEventListener("error", () => { byId("notice").textContent = file.name + " cannot be read."; });
  reader.readAsText(file);
  byId("load").value = "";
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "PageDown" && event.key !== "PageUp") return;
  show(at + (event.key === "PageDown" ? 1 : -1));
  event.preventDefault();
});
window.addEventListener("beforeunload", (event) => {
  if (!saved) event.preventDefault();
});
byId("picture").addEventListener("error", () => {
  byId("notice").textContent = "The picture " + sheet.images[at].picture + " is not there: keep the folder whole.";
});
show(firstUnfinished());
if (!state.rater) byId("rater").focus();

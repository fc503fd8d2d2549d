"use strict";

const { format, page, pairs } = JSON.parse(document.getElementById("pairs").textContent);
const memory = `melgpt-listening-${page}`;
const byId = (name) => document.getElementById(name);
const answers = [...document.querySelectorAll("[data-choice]")];
const state = recall();
let place = firstOpen();
let heard = new Set();
let sounds = {};

/* Votes by pair; kept in the browser where it allows that. */
function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(memory));
    if (kept && typeof kept.votes === "object") return kept;
  } catch {
    /* a browser may keep nothing for files: the votes then live as long as the page */
  }
  return { votes: {}, finished: false };
}

function remember() {
  try {
    localStorage.setItem(memory, JSON.stringify(state));
  } catch {
    byId("hint").textContent = "This browser keeps no votes: save them before you close the page.";
  }
}

function firstOpen() {
  const open = pairs.findIndex((pair) => !(pair.id in state.votes));
  return open < 0 ? 0 : open;
}

function show(next) {
  stop();
  place = (next + pairs.length) % pairs.length;
  const pair = pairs[place];
  heard = new Set(pair.id in state.votes ? ["a", "b"] : []);
  sounds = {};
  for (const side of ["a", "b"]) {
    sounds[side] = new Audio(pair[side].sound);
    sounds[side].volume = pair[side].volume;
    sounds[side].addEventListener("ended", stop);
  }
  byId("place").textContent = `Pair ${place + 1} of ${pairs.length}`;
  byId("label").textContent = pair.label;
  draw();
}

function draw() {
  const vote = state.votes[pairs[place].id];
  for (const answer of answers) {
    answer.disabled = heard.size < 2 || state.finished;
    answer.setAttribute("aria-pressed", String(vote === answer.dataset.choice));
  }
  const done = Object.keys(state.votes).length;
  byId("hint").textContent = state.finished || heard.size === 2 ? "" : "Play both to answer.";
  byId("count").textContent = `${done} of ${pairs.length} pairs answered.`;
  byId("finish").disabled = done === 0 || state.finished;
  byId("save").disabled = done === 0;
  byId("result").textContent = state.finished ? conclusion() : "";
}

/* What may be said without the key: A and B are other models from pair to pair. */
function conclusion() {
  const count = (choice) => Object.values(state.votes).filter((vote) => vote === choice).length;
  return (
    `A was better ${count("a")} times, B ${count("b")} times, no difference ${count("none")} times. ` +
    "Which model was A changes from pair to pair: save the votes, and melgpt compare … --votes FILE tells."
  );
}

function stop() {
  for (const [side, sound] of Object.entries(sounds)) {
    sound.pause();
    sound.currentTime = 0;
    byId(`play-${side}`).classList.remove("playing");
    byId(`play-${side}`).querySelector(".bar").style.width = "0";
  }
}

function play(side) {
  const again = !sounds[side].paused;
  stop();
  if (again) return;
  sounds[side].play().then(
    () => {
      heard.add(side);
      draw();
      follow(side, sounds[side]);
    },
    () => {
      byId("hint").textContent = "This browser cannot play the sound (Ogg Vorbis).";
    },
  );
}

function follow(side, sound) {
  const button = byId(`play-${side}`);
  if (sound.paused || sounds[side] !== sound) return;
  button.classList.add("playing");
  button.querySelector(".bar").style.width = `${(100 * sound.currentTime) / (sound.duration || 1)}%`;
  requestAnimationFrame(() => follow(side, sound));
}

function choose(choice) {
  if (heard.size < 2 || state.finished) return;
  state.votes[pairs[place].id] = choice;
  remember();
  const open = pairs.findIndex((pair) => !(pair.id in state.votes));
  if (open < 0) {
    stop();
    draw();
    byId("hint").textContent = "All pairs are answered: finish, and save the votes.";
  } else {
    show(open);
  }
}

function finish() {
  stop();
  state.finished = true;
  remember();
  draw();
}

function save() {
  const votes = Object.entries(state.votes).map(([pair, choice]) => ({ pair: Number(pair), choice }));
  const text = JSON.stringify({ format, page, finished: state.finished, votes }, null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `votes-${page}.json`;
  link.click();
  URL.revokeObjectURL(link.href);
}

const keys = {
  a: () => play("a"),
  b: () => play("b"),
  1: () => choose("a"),
  2: () => choose("b"),
  0: () => choose("none"),
  ArrowLeft: () => show(place - 1),
  ArrowRight: () => show(place + 1),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});
byId("play-a").addEventListener("click", () => play("a"));
byId("play-b").addEventListener("click", () => play("b"));
byId("back").addEventListener("click", () => show(place - 1));
byId("on").addEventListener("click", () => show(place + 1));
byId("finish").addEventListener("click", finish);
byId("save").addEventListener("click", save);
answers.forEach((answer) => answer.addEventListener("click", () => choose(answer.dataset.choice)));
show(place);

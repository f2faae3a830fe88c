"use strict";
const box = document.getElementById("filter");
const order = document.getElementById("order");
const list = document.getElementById("cards");
const shown = document.getElementById("shown");
const cards = list ? [...list.children].map((card) => ({
  card,
  text: card.textContent.toLowerCase(),
  error: Number(card.dataset.error),
  sure: Number(card.dataset.sure),
})) : [];

function filter() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const { card, text } of cards) {
    card.hidden = !words.every((word) => text.includes(word));
    count += card.hidden ? 0 : 1;
  }
  shown.textContent = `${count} shown`;
}

function sort() {
  const key = order.value;
  const sorted = [...cards].sort((one, other) => other[key] - one[key]);
  list.append(...sorted.map(({ card }) => card));
}

if (box) box.addEventListener("input", filter);
if (order) order.addEventListener("change", sort);

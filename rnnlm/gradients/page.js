"use strict";
window.addEventListener("error", (event) => {
  const place = document.getElementById("error");
  place.hidden = false;
  place.textContent = "This page could not be drawn: " + event.message;
});
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const SVG = ["svg", "g", "defs", "marker", "path", "line", "rect", "text", "tspan", "circle", "title"];

// A new element with its attributes and text, at the end of its parent.
function element(name, attributes, parent, text) {
  const made = SVG.includes(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

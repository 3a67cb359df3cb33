// The list of pictures: one line each, with its state and what can be done with it.

import { ACTIVE, unreadable, worthAgain } from "./queue.js";
import * as text from "./text.js";

export class List {
  /** `act(name, item)` is called for select, cancel, again and remove. */
  constructor(root, act) {
    this.root = root;
    this.act = act;
    this.rows = new Map(); // item to its elements
  }

  remove(item) {
    const { row } = this.rows.get(item) ?? {};
    const next = row?.nextElementSibling ?? row?.previousElementSibling;
    const focused = row?.contains(document.activeElement);
    row?.remove();
    this.rows.delete(item);
    if (focused) (next?.querySelector("button") ?? document.getElementById("add")).focus();
  }

  /** Show an item as it is now. */
  update(item, selected, estimate) {
    const parts = this.rows.get(item) ?? this.make(item);
    const active = ACTIVE.has(item.state);
    const { row, select, status, bar, cancel, again, remove } = parts;
    row.dataset.state = item.state;
    row.toggleAttribute("data-note", Boolean(item.note));
    if (selected) select.setAttribute("aria-current", "true");
    else select.removeAttribute("aria-current");
    status.textContent = text.state(item, estimate);
    status.title = item.state === "failed" ? item.error.message : item.note;
    bar.hidden = !active;
    bar.value = item.progress;
    const doing = item.state === "uploading" ? "Uploading" : "Enlarging";
    bar.setAttribute("aria-label", `${doing} ${item.name}`);
    const focused = row.contains(document.activeElement) && document.activeElement !== select;
    cancel.hidden = !active;
    remove.hidden = active;
    again.hidden = !worthAgain(item);
    if (unreadable(item)) parts.thumb.replaceWith(element("span", "thumb blank"));
    if (focused && document.activeElement?.hidden !== false) select.focus();
  }

  make(item) {
    const row = element("li", "item");
    const select = element("button", "select");
    const thumb = element("img", "thumb");
    thumb.alt = "";
    thumb.decoding = "async";
    thumb.loading = "lazy";
    thumb.draggable = false;
    thumb.src = item.url;
    thumb.onerror = () => thumb.replaceWith(element("span", "thumb blank"));
    const words = element("span", "words");
    const name = element("span", "name", item.name);
    name.title = item.name;
    const status = element("span", "status");
    words.append(name, status);
    select.append(thumb, words);
    const button = (action, label, sign) => {
      const made = element("button", `icon ${action}`, sign);
      made.setAttribute("aria-label", `${label}: ${item.name}`);
      made.title = label;
      made.type = "button";
      made.addEventListener("click", () => this.act(action, item));
      return made;
    };
    const again = button("again", "Try again", "↻");
    const cancel = button("cancel", "Cancel", "✕");
    const remove = button("remove", "Remove", "✕");
    select.type = "button";
    select.addEventListener("click", () => this.act("select", item));
    const bar = element("progress", "bar-line");
    bar.max = 1;
    row.append(select, again, cancel, remove, bar);
    this.root.append(row);
    const parts = { row, select, thumb, status, bar, cancel, again, remove };
    this.rows.set(item, parts);
    return parts;
  }
}

export function element(tag, className = "", content = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

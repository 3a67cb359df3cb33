// The settings form: what it says as a query for the service.

const NOTES = {
  photo: "Photographs and JPEGs: also cleans light noise and compression marks.",
  clean: "Photographs that were only shrunk, kept without loss: changes nothing else.",
  fast: "A small network, for many pictures or a slow machine.",
};

const WAYS = {
  scale: { label: "Factor, 1 to 16", min: 1, max: 16, step: "any", value: 8, unit: "×" },
  width: { label: "Width in pixels", min: 1, max: "", step: 1, value: 3840, unit: "px" },
  height: { label: "Height in pixels", min: 1, max: "", step: 1, value: 2160, unit: "px" },
  fit: { label: "Width in pixels", min: 1, max: "", step: 1, value: 3840, unit: "px" },
};

const MOST = 16; // times the size: the service enlarges no further

const WITH_QUALITY = new Set(["", "jpeg", "webp", "avif"]);

export class Options {
  /** `changed()` is called after every change. */
  constructor(form, changed) {
    this.form = form;
    this.changed = changed;
    this.at = (id) => form.querySelector(`#${id}`);
    form.elements.size.value = "2";
    this.at("second").value = 2160;
    this.setWay();
    form.addEventListener("input", (event) => {
      if (event.target.id === "way") this.setWay();
      this.refresh();
    });
    form.addEventListener("submit", (event) => event.preventDefault());
    this.refresh();
  }

  /** Fill in the models that the service has; each card has a name and a family. */
  setModels(cards) {
    const select = this.at("model");
    this.degradations = new Map(cards.map((card) => [card.family, card.degradation]));
    const chosen = select.value;
    select.replaceChildren(
      ...[...this.degradations.keys()].map((family) => new Option(title(family), family)),
    );
    const families = [...this.degradations.keys()];
    select.value = [chosen, "photo", families[0]].find((family) => families.includes(family)) ?? "";
    this.refresh();
  }

  setWay() {
    const { label, min, max, step, value, unit } = WAYS[this.at("way").value];
    Object.assign(this.at("first"), { min, max, step, value });
    this.at("first-label").textContent = label;
    this.at("unit").textContent = unit;
  }

  refresh() {
    const model = this.at("model").value;
    const note = NOTES[model] ?? NOTES[this.degradations?.get(model)] ?? "";
    if (this.at("model-note").textContent !== note) this.at("model-note").textContent = note;
    const boxed = this.at("way").value === "fit";
    this.at("other").hidden = this.form.elements.size.value !== "other";
    for (const id of ["times", "second"]) this.at(id).hidden = !boxed;
    this.at("first").disabled = this.at("other").hidden;
    this.at("second").disabled = this.at("other").hidden || !boxed;
    this.at("strength-value").textContent = `${this.at("strength").value} %`;
    const lossy = WITH_QUALITY.has(this.at("format").value);
    this.at("quality-row").hidden = !lossy;
    this.at("quality").disabled = !lossy;
    this.at("background-row").hidden = this.at("format").value !== "jpeg"; // which has no alpha
    this.changed();
  }

  /** Whether all fields can be used; if not, the browser points at the first that cannot. */
  valid() {
    return this.form.reportValidity();
  }

  size() {
    const size = this.form.elements.size.value;
    if (size !== "other") return { scale: Number(size) };
    const way = this.at("way").value;
    const first = this.at("first").valueAsNumber;
    return { [way]: way === "fit" ? [first, this.at("second").valueAsNumber] : first };
  }

  /** The options as the service names them; what is left to the service is left out. */
  query() {
    const query = new URLSearchParams();
    if (this.at("model").value) query.set("model", this.at("model").value);
    for (const [name, value] of Object.entries(this.size())) {
      query.set(name, Array.isArray(value) ? value.join("x") : String(value));
    }
    const strength = this.at("strength").valueAsNumber / 100;
    if (strength !== 1) query.set("strength", String(strength));
    if (this.at("ensemble").value !== "1") query.set("ensemble", this.at("ensemble").value);
    if (this.at("format").value) query.set("format", this.at("format").value);
    const quality = this.at("quality");
    if (!quality.disabled && quality.value) query.set("quality", quality.value);
    if (!this.at("background-row").hidden) {
      query.set("background", this.at("background").value.slice(1));
    }
    if (!this.at("keep").checked) query.set("keep_metadata", "false");
    return query;
  }

  /** About what size a picture would get, to show before the service says exactly; or null. */
  estimate(width, height) {
    const { scale, width: wide, height: high, fit } = this.size();
    const box = fit && Math.min(fit[0] / width, fit[1] / height);
    const factor = scale ?? (wide && wide / width) ?? (high && high / height) ?? box;
    if (!(factor > 0) || !width || factor > MOST || scale < 1) return null; // it will be refused
    return [width, height].map((side) => Math.max(1, Math.round(side * factor)));
  }
}

function title(family) {
  return family.charAt(0).toUpperCase() + family.slice(1);
}

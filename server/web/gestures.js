// Mouse, touch, pen, wheel and keys on the stage, as calls to the viewer.

const STEP = 0.02; // of the divider, for one arrow key
const PAGE = 0.1;
const PAN_STEP = 60; // CSS pixels for one arrow key
const ZOOM_STEP = 1.25;

/** Let a person move the divider, zoom and pan. */
export function listen(stage, divider, viewer) {
  pointers(stage, divider, viewer);
  stage.addEventListener("wheel", (event) => wheel(event, stage, viewer), { passive: false });
  stage.addEventListener("dblclick", (event) => {
    const [x, y] = inside(event, stage);
    if (viewer.fitted) viewer.zoomTo(2 / devicePixelRatio, x, y);
    else viewer.fit();
  });
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !viewer.width) return;
    if (key(event, viewer)) event.preventDefault();
  });
}

function inside(event, stage) {
  const box = stage.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function wheel(event, stage, viewer) {
  if (!viewer.width) return;
  event.preventDefault();
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 20;
  const speed = event.ctrlKey ? 0.01 : 0.0018; // a pinch on a trackpad comes as ctrl + wheel
  const delta = Math.max(-240, Math.min(240, event.deltaY * lines));
  viewer.zoomBy(Math.exp(-speed * delta), ...inside(event, stage));
}

// One pointer drags the divider where it starts on it, or where there is nothing to pan;
// else it pans. Two pinch.
function pointers(stage, divider, viewer) {
  const held = new Map(); // pointer id to its last [x, y]
  let divides = false;
  let grip = 0; // from the pointer to the divider, in CSS pixels

  stage.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !viewer.width || event.target.closest("button, a")) return;
    const [x, y] = inside(event, stage);
    stage.setPointerCapture(event.pointerId);
    held.set(event.pointerId, [x, y]);
    const onDivider = divider.contains(event.target);
    divides = held.size === 1 && viewer.comparing && (onDivider || !viewer.pannable);
    grip = onDivider ? viewer.split * stage.clientWidth - x : 0;
    if (divides && !onDivider && event.pointerType === "mouse") viewer.moveTo(x / stage.clientWidth);
    stage.classList.toggle("dragging", !divides);
    (viewer.comparing ? divider : stage).focus({ preventScroll: true });
    event.preventDefault();
  });

  stage.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (!before) return;
    const now = inside(event, stage);
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    held.set(event.pointerId, now);
    if (other) pinch(viewer, before, now, other);
    else if (divides) viewer.moveTo((now[0] + grip) / stage.clientWidth);
    else viewer.panBy(now[0] - before[0], now[1] - before[1]);
  });

  const release = (event) => {
    held.delete(event.pointerId);
    divides = false; // after a pinch the finger that stays pans
    if (!held.size) stage.classList.remove("dragging");
  };
  stage.addEventListener("pointerup", release);
  stage.addEventListener("pointercancel", release);
}

function pinch(viewer, before, now, other) {
  const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const middle = (a, b) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const [from, to] = [middle(before, other), middle(now, other)];
  viewer.zoomBy(distance(now, other) / Math.max(1, distance(before, other)), ...from);
  viewer.panBy(to[0] - from[0], to[1] - from[1]);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

/** Do what a key says; whether it said anything. */
function key(event, viewer) {
  const arrow = ARROWS[event.key];
  if (arrow && (event.shiftKey || !viewer.comparing)) {
    viewer.panBy(-PAN_STEP * arrow[0], PAN_STEP * arrow[1]);
  } else if (arrow) {
    viewer.moveTo(viewer.split + STEP * (arrow[0] + arrow[1]));
  } else if (event.key === "PageUp") viewer.moveTo(viewer.split + PAGE);
  else if (event.key === "PageDown") viewer.moveTo(viewer.split - PAGE);
  else if (event.key === "Home") viewer.moveTo(0);
  else if (event.key === "End") viewer.moveTo(1);
  else if (event.key === "+" || event.key === "=") viewer.zoomBy(ZOOM_STEP);
  else if (event.key === "-") viewer.zoomBy(1 / ZOOM_STEP);
  else if (event.key === "0") viewer.fit();
  else if (event.key === "1") viewer.actualSize();
  else return false;
  return true;
}

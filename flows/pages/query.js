// Adds a button to each body that moves, and stops them all at first for who prefers less motion.
for (const body of document.querySelectorAll("svg.moving")) {
  const button = document.createElement("button");
  button.type = "button";
  const show = () => {
    button.textContent = body.animationsPaused() ? "Play" : "Pause";
  };
  button.addEventListener("click", () => {
    if (body.animationsPaused()) body.unpauseAnimations();
    else body.pauseAnimations();
    show();
  });
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) {
    body.setCurrentTime(Number(body.dataset.middleS));
    body.pauseAnimations();
  }
  show();
  body.after(button);
}

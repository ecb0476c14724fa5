(function () {
  "use strict";
  function paint() {
    var style = getComputedStyle(document.documentElement);
    var ink = style.getPropertyValue("--ink").trim(), line = style.getPropertyValue("--line").trim(), raised = style.getPropertyValue("--raised").trim();
    document.querySelectorAll(".plotly-graph-div").forEach(function (plot) {
      var change = { "font.color": ink, "hoverlabel.bgcolor": raised, "hoverlabel.font.color": ink, "hoverlabel.bordercolor": line };
      Object.keys(plot.layout).filter(function (key) { return /^[xy]axis/.test(key); }).forEach(function (key) {
        change[key + ".gridcolor"] = line; change[key + ".linecolor"] = line;
      });
      Plotly.relayout(plot, change);
    });
  }
  window.addEventListener("load", paint);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
})();

/** How much of the variance of a measure each gene alone explains. */

import { counted, el } from "./dom.js";
import { axis, categories, chart, draw } from "./plot.js";
import { line, select } from "./view_parts.js";

const MEASURES = [["accuracy", "accuracy"], ["params", "logarithm of parameters"], ["flops", "logarithm of FLOPs"]];

/**
 * The share of the variance of `values` that each gene explains on its own (eta squared): the variance
 * between the means of the networks with 0 and with 1, over that of all. `null` where all have the same gene.
 */
export function explained(genomes, values, length) {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  let total = 0;
  const [ones, sums] = [new Float64Array(length), new Float64Array(length)];
  for (let at = 0; at < count; at++) {
    const [genome, off] = [genomes[at], values[at] - mean];
    total += off * off;
    for (let gene = 0; gene < length; gene++) {
      if (genome.charCodeAt(gene) === 49) {
        ones[gene] += 1;
        sums[gene] += off;
      }
    }
  }
  // The deviations of all sum to 0, so those with 0 have the opposite sum.
  return Array.from(ones, (with1, gene) => {
    const with0 = count - with1;
    if (with1 === 0 || with0 === 0) return null;
    return total > 0 ? (sums[gene] ** 2 * (1 / with1 + 1 / with0)) / total : 0;
  });
}

/** The view of the genes. */
export function genesView(app) {
  const measure = select("measure", MEASURES, app.redraw);
  const rung = select("trained for", [], app.redraw);
  const figure = chart("Importance of each gene");
  const notice = line("notice");
  const caption = line("hint");
  const root = el("div", {}, el("h2", {}, "Importance of genes"),
    el("div", { class: "controls" }, measure.root, rung.root), notice.root, figure, caption.root);
  let drawn = {};

  return {
    name: "genes", title: "Genes", root,
    async draw(record, t, { isForced } = {}) {
      rung.root.hidden = !record.hasRungs;
      offerRungs(record, rung.control);
      const key = [record.endedBy(t), measure.value, rung.value].join();
      if (!isForced && drawn.record === record && drawn.key === key) return;
      drawn = { record, key };
      const rows = rowsOf(record, t, Number(rung.value));
      const isEnough = rows.length >= 3;
      notice.say(isEnough ? "" : "Fewer than three networks have a result: too few to compare genes.");
      figure.hidden = !isEnough;
      caption.say(isEnough ? captionOf(record, rows.length, measure.value) : "");
      if (isEnough) await drawBars(figure, record, rows, measure.value);
    },
  };
}

function offerRungs(record, control) {
  const parts = [...record.facts.rungs, record.facts.epochs];
  if (control.options.length === parts.length) return;
  control.replaceChildren(...parts.map((epochs, rung) => el("option", { value: rung }, counted(epochs, "epoch"))));
}

/** The networks that were measured after the same number of epochs; others cannot be compared. */
function rowsOf(record, t, rung) {
  const rows = record.ended.slice(0, record.endedBy(t));
  return rows.filter((row) => record.accuracy[row] !== null && (!record.hasRungs || record.rung[row] === rung));
}

function captionOf(record, count, measure) {
  const name = MEASURES.find(([value]) => value === measure)[1];
  return `The share of the variance of the ${name} that each gene explains on its own (eta squared), among the ${counted(count, "measured network")}. `
    + "The search does not sample evenly: it prefers genes of good networks, so shares describe this sample, not the space. Effects of genes together do not show, and with few networks even a gene without any effect gets a share of about 1 / (networks − 1). "
    + "A gene without a bar has the same value in all of them.";
}

/** What a gene stands for. */
function geneName({ facts }, gene) {
  if (facts.gene_names) return facts.gene_names[gene];
  const place = gene % facts.phase_len + 1;
  const what = place === facts.phase_len ? "skip connection" : `connection ${place}`;
  return `${what} of phase ${Math.floor(gene / facts.phase_len) + 1}`;
}

/** The name of a part of a genome. */
function partName({ facts }, part) {
  if (facts.space === "micro") return ["normal cell", "reduction cell"][part];
  if (facts.space !== "mobile") return `phase ${part + 1}`;
  return (part + 1) * facts.phase_len > facts.genome_len ? "resolution" : `stage ${part + 1}`;
}

async function drawBars(figure, record, rows, measure) {
  const length = record.facts.genome_len;
  const phaseLength = record.facts.phase_len || length;
  const values = rows.map((row) => (measure === "accuracy" ? record.accuracy[row] : Math.log(Math.max(1, record[measure][row]))));
  const shares = explained(rows.map((row) => record.genome[row]), values, length);
  const shades = categories();
  const traces = [];
  for (let from = 0; from < length; from += phaseLength) {
    const genes = Array.from({ length: Math.min(phaseLength, length - from) }, (_, at) => from + at);
    traces.push({
      type: "bar", name: partName(record, from / phaseLength), x: genes.map((gene) => gene + 1), y: genes.map((gene) => shares[gene]),
      marker: { color: shades[(from / phaseLength) % shades.length] },
      text: genes.map((gene) => `gene ${gene + 1}: ${geneName(record, gene)}`),
      textposition: "none", hovertemplate: "%{text}<br>%{y:.1%} of the variance<extra></extra>",
    });
  }
  await draw(figure, traces, {
    barmode: "overlay", bargap: 0.15, showlegend: true,
    xaxis: axis("gene", { dtick: length <= 40 ? 1 : undefined, tickformat: "d", range: [0.4, length + 0.6] }),
    yaxis: axis("share of the variance", { tickformat: ".0%", rangemode: "tozero", range: shares.some((share) => share > 0) ? undefined : [0, 1] }),
  });
}

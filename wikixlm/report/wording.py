"""What the page explains: sentences for a reader who has never seen the project."""

CONFIGURATION = (
    "Keys that only say where and how to run (contact, device, workers, …) shape no result and are left out."
)
UNKNOWN = "The configuration is not recorded yet: models/mlm/manifest.json comes after the training."
FLOW = (
    "Redirects, pages of other namespaces and pages that are not wikitext are no articles. An article may hold no text "
    "once markup, tables and templates are gone. A paragraph is a line of the training text; it is dropped where no "
    "token is left of it, or where it repeats text of valid or test."
)
OWN_TEXT = "In a language made from text of your own, a line of it counts as a page and as an article."
SAMPLING = (
    "A language with n of the text is drawn in proportion to n^alpha, which lifts the small ones: BPE is learned from "
    "lines drawn with alpha {bpe}, training draws blocks of tokens with alpha {train}."
)
UNIFORM = "The recipe tutorial draws all languages equally in training, whatever alpha is."
FROZEN = "The BPE codes are an earlier run's; nothing was sampled for them."
ALL_TAKEN = (
    "The BPE sample took every line there is, because bpe.sample_lines asks for more: alpha had no effect on it."
)
SEGMENTATION = (
    "The fewer tokens a word takes, the more of the joint codes belong to its language. A language with many more "
    "tokens a word than the others is poorly covered: raise bpe.codes, or lower bpe.alpha to give small languages more "
    "of the sample."
)
OVERLAP = (
    "A cell is the share of the row's training tokens whose symbols the column's language uses too: symbols that are "
    "at least one in 100,000 of its own tokens. What languages share (names, numbers, punctuation, a common script) is "
    "what a joint model can tie them together with."
)
NOTHING_TO_SHARE = "With one language there is nothing to share."
BASELINE_DRAWN = (
    "A dashed line is the unigram baseline of the language in the same colour: a curve that flattens out there has not "
    "left the plateau."
)
BASELINE_MISSING = "The unigram baseline is drawn in once the model has been evaluated."
PERPLEXITY = (
    "Perplexity of masked tokens in text that training never saw; lower is better. The unigram baseline is the "
    "perplexity of knowing only how often each token of the language occurs: a model learns that first, and only below "
    "it has it begun to use context. Perplexities of different languages can't be compared: their tokens differ."
)
OLDER = "This table is older than models/mlm/model.pt: it tells of an earlier model."
XNLI = (
    "Natural language inference: the model, fine-tuned on English alone, tested in each language. The gap is to "
    "English; chance is a third."
)
COST = (
    "Time of all jobs of a stage, one after another; many of them run at once. Of each job the last run is counted, of "
    "a resumed training all of it. Memory and CPU time of jobs under a second or two are measured too coarsely to mean "
    "much. Disk is what the run takes now; temporary shards are gone."
)
VERSIONS = "What the model was made with. Hashes of sources, data and model are in models/mlm/manifest.json."

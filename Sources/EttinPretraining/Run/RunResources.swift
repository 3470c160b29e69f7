import EttinCorpus
import EttinTokenizer
import EttinTraining

/// What a run is given besides its recipe and its start.
struct RunResources {
    /// Where its files go.
    let folder: RunFolder
    /// Where its batches come from, both halves' of a pair.
    let batches: BatchStream
    /// Which half of the batches is its own.
    let half: Int
    /// The tokenizer that is written into checkpoints; nil for none.
    let tokenizer: Tokenizer?
    /// Where that came from.
    let tokenizerFolder: String?
    /// What measures it; nil without held-out data.
    let heldOut: HeldOutEvaluation?
    /// Whether the `run.json` that is there stays under another name.
    let keepsDescription: Bool
    /// What a run that is resumed must share.
    let runIdentity: [String: String]
}

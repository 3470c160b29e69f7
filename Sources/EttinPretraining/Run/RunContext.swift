import EttinCorpus
import EttinTokenizer
import EttinTraining

/// What a run is given besides its recipe and its start.
struct RunContext {
    /// Where its files go.
    let folder: RunFolder
    /// Its checkpoints.
    let store: CheckpointStore
    /// How long it is.
    let length: RunLength
    /// The tokenizer that is written into checkpoints; nil for none.
    let tokenizer: Tokenizer?
    /// Where that came from.
    let tokenizerFolder: String?
    /// What measures it; nil without held-out data.
    let heldOut: HeldOutEvaluation?
    /// Facts that a run which goes on must share.
    let facts: [String: String]
    /// What lines of progress begin with.
    let label: String?
    /// Receives lines of progress; nil for silence.
    let onLine: ((String) -> Void)?
}

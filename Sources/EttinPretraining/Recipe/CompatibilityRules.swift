package import EttinModel

/// Where the training code did something else than was meant: which of the two to do.
///
/// The keys stand under `rules:` in a recipe.
package struct CompatibilityRules: Hashable, Sendable {
    /// What the code did, or what was meant.
    package enum Choice: String, Hashable, Sendable, CaseIterable {
        /// As the code ran.
        case literal
        /// As it was meant.
        case intended
    }

    /// What a token is to the clock.
    package enum TokenCounting: String, Hashable, Sendable, CaseIterable {
        /// The ids that both halves of a pair share, so that both end at the same step.
        case data
        /// All ids that the model reads, the encoder's end token included, as the training code counts.
        case attentionMask = "attention_mask"
    }

    /// Whose rate a batch runs with; `learning_rate_timing`.
    ///
    /// Literal: batch k has the rate of the start of batch k − 1. Intended: that of its own start.
    package var learningRateTiming = Choice.intended
    /// What the schedule multiplies after a restart; `decay_base_rate`.
    ///
    /// Literal: `restart_override` leaves the loaded run's peak rate as the base of all schedules but two. Intended: the
    /// recipe's rate is the base.
    package var decayBaseRate = Choice.intended
    /// When `reset_time` sets the clock to zero; `reset_time`.
    ///
    /// Literal: even when a run is resumed. Intended: only after `load_path`.
    package var resetTime = Choice.intended
    /// Where the batch size grows; `batch_size_warmup`.
    ///
    /// Literal: inside the packer only, so not at all without packing. Intended: always.
    package var batchSizeWarmup = Choice.literal
    /// What a labelled token weighs; `loss_weighting`.
    ///
    /// Literal: microbatches weigh by their sequences, tokens by the labelled ones of their microbatch. Intended: all
    /// labelled tokens of the batch weigh the same.
    package var lossWeighting = Choice.literal
    /// How far a decoder's local layers see; `decoder_window`.
    package var decoderWindow = WindowRule.transformers
    /// What a token is to the clock; `token_counting`.
    package var tokenCounting = TokenCounting.data

    /// Creates the rules of a recipe that names none.
    package init() {}
}

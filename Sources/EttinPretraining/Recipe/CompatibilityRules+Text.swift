package import EttinJSON
import EttinModel

extension CompatibilityRules {
    /// The rules by their keys, for `run.json`.
    package var json: JSONValue { .object(JSONObject(descriptions.map { ($0.key, .string($0.value)) })) }

    /// Each rule with its key, its value and what the value means.
    var descriptions: [(key: String, value: String, meaning: String)] {
        func entry(
            _ key: String,
            _ choice: Choice,
            literal: String,
            intended: String
        ) -> (key: String, value: String, meaning: String) {
            (key, choice.rawValue, choice == .literal ? literal : intended)
        }
        return [
            entry(
                "learning_rate_timing",
                learningRateTiming,
                literal: "a batch has the rate of the start of the batch before it",
                intended: "a batch has the rate of its own start"
            ),
            entry(
                "decay_base_rate",
                decayBaseRate,
                literal: "restart_override leaves the loaded run's peak as the base of this schedule",
                intended: "the schedule multiplies this recipe's rate"
            ),
            entry(
                "reset_time",
                resetTime,
                literal: "reset_time sets the clock to zero whenever a run is resumed",
                intended: "reset_time sets the clock to zero after load_path only"
            ),
            entry(
                "batch_size_warmup",
                batchSizeWarmup,
                literal: "batches grow inside the packer only",
                intended: "batches grow with and without packing"
            ),
            entry(
                "loss_weighting",
                lossWeighting,
                literal: "microbatches weigh by their sequences",
                intended: "all labelled tokens of a batch weigh the same"
            ),
            decoderWindow == .training
                ? ("decoder_window", "training", "a decoder's local layer sees half a window before the token")
                : ("decoder_window", "transformers", "a decoder's local layer sees half a window, the token included"),
            tokenCounting == .data
                ? ("token_counting", "data", "the ids that both halves of a pair read are counted")
                : ("token_counting", "attention_mask", "the encoder's added end token is counted too"),
        ]
    }
}

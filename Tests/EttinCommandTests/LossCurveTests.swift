import EttinJSON
import Foundation
import Testing

/// A small pair trained together, whose losses are kept in the repository: what no check of one part alone notices,
/// such as a batch in another order or a rate that is a step late, changes them.
///
/// `ETTIN_WRITE_CURVE=1 make test TESTS=LossCurveTests` writes the file anew, after a change that is meant to change
/// what models learn.
@Suite("Losses of a small pair")
struct LossCurveTests {
    private static let fixture = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../Fixtures/curves/nano-pair.json").standardized

    @Test("An encoder and a decoder in lockstep learn as they always did")
    func curve() throws {
        let found = try withTemporaryFolder { folder in try NanoPair(folder: folder).losses() }
        if ProcessInfo.processInfo.environment["ETTIN_WRITE_CURVE"] == "1" {
            let text = found.text(JSONWritingOptions(layout: .indented(2))) + "\n"
            return try Data(text.utf8).write(to: Self.fixture)
        }
        let expected = try JSONValue(parsing: String(contentsOf: Self.fixture, encoding: .utf8))
        for kind in NanoPair.kinds {
            for name in NanoPair.curves {
                let (losses, known) = (try Self.losses(found, kind, name), try Self.losses(expected, kind, name))
                #expect(losses.count == known.count, "\(kind), \(name)")
                // Processors differ in last bits, which training makes larger.
                let first = zip(losses, known).enumerated().first { !(abs($1.0 - $1.1) <= 1e-3 * abs($1.1)) }
                #expect(first == nil, "\(kind), \(name)")
            }
        }
    }

    private static func losses(_ document: JSONValue, _ kind: String, _ name: String) throws -> [Double] {
        try #require(document[kind]?[name]?.arrayValue).map { $0.doubleValue ?? .nan }
    }
}

/// Data, a tokenizer and a pair of models, made of text that is the same each time.
private struct NanoPair {
    static let kinds = ["encoder", "decoder"]
    static let curves = ["train", "held_out"]

    let folder: String

    init(folder: String) throws {
        self.folder = folder
        var text = MadeText()
        let corpus = try write(text.lines(400), to: "\(folder)/train.txt")
        let heldOut = try write(text.lines(24), to: "\(folder)/validation.txt")
        try Command.succeed(["tokenizer", "train", corpus, "--vocab-size", "500", "--output", "\(folder)/tokenizer"])
        for (file, split) in [(corpus, "train"), (heldOut, "validation")] {
            let source = ["data", "tokenize", file, "--separator", #"\n"#, "--tokenizer", "\(folder)/tokenizer"]
            try Command.succeed(source + ["--output", "\(folder)/data/\(split)"])
        }
        let kinds = [("encoder", "flex_bert", "0.3", "0.15"), ("decoder", "flex_gpt", "0", "0")]
        for (kind, name, masked, masksHeldOut) in kinds {
            let recipe = Self.recipe(name: name, masked: masked, masksHeldOut: masksHeldOut)
            _ = try write(recipe, to: "\(folder)/\(kind).yaml")
        }
    }

    /// Trains, and gives the losses by kind and curve.
    func losses() throws -> JSONValue {
        try Command.succeed(
            ["pretrain", "encoder.yaml", "--lockstep", "decoder.yaml", "--threads", "1", "--device", "cpu"],
            in: folder
        )
        return .object(
            try Self.kinds.reduce(into: JSONObject()) { document, kind in
                let log = try String(contentsOfFile: "\(folder)/run/\(kind)/metrics.jsonl", encoding: .utf8)
                let lines = try log.split(separator: "\n").map { try JSONValue(parsing: String($0)) }
                document[kind] = [
                    "train": .array(lines.compactMap { $0["loss/train/total"] }),
                    "held_out": .array(lines.compactMap { $0["metrics/eval/LanguageCrossEntropy"] }),
                ]
            }
        )
    }

    /// Passes over the data and a batch that grows, microbatches of unequal size, dropout, all phases of the schedule.
    private static func recipe(name: String, masked: String, masksHeldOut: String) -> String {
        """
        seed: 5
        data_local: data
        tokenizer_name: tokenizer
        max_seq_len: 48
        mlm_probability: \(masked)
        model:
          name: \(name)
          model_config:
            vocab_size: tokenizer
            init_method: full_megatron
            num_hidden_layers: 2
            hidden_size: 32
            intermediate_size: 48
            num_attention_heads: 2
            sliding_window: 16
            global_attn_every_n_layers: 2
            attn_out_dropout_prob: 0.1
        train_loader:
          name: text
          dataset:
            local: ${data_local}
            split: train
            max_seq_len: ${max_seq_len}
            mlm_probability: ${mlm_probability}
            shuffle: true
            shuffle_seed: 7
            streaming: false
          drop_last: true
          num_workers: 1
          batch_size_warmup_min_size: 8
          batch_size_warmup_tokens: 2_000tok
        eval_loader:
          name: text
          dataset: {local: "${data_local}", split: validation, max_seq_len: "${max_seq_len}",
            mlm_probability: \(masksHeldOut), shuffle: false, streaming: false}
          drop_last: false
        scheduler: {name: warmup_stable_decay, t_warmup: 0.1dur, t_decay: 0.2dur, alpha_f: 0.02}
        optimizer: {name: decoupled_stableadamw, lr: 3e-3, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 3e-4,
          filter_bias_norm_wd: true}
        rules: {batch_size_warmup: intended}
        max_duration: 30ba
        eval_interval: 10ba
        global_train_batch_size: 16
        device_train_microbatch_size: 5
        precision: fp32
        progress_bar: false
        log_to_console: false
        save_folder: run
        save_interval: 30ba
        """
    }
}

/// Words of syllables, common ones and rare ones.
private struct MadeText {
    private var state: UInt64 = 1

    /// A number from 0 up to a bound; a linear congruential generator.
    private mutating func next(below bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }

    /// The word of a number.
    private func word(_ number: Int) -> String {
        let (consonants, vowels) = (Array("bdfglmnprst"), Array("aeiou"))
        var (rest, text) = (number + 1, "")
        while rest > 0 {
            text.append(consonants[rest % consonants.count])
            text.append(vowels[rest / consonants.count % vowels.count])
            rest /= consonants.count * vowels.count
        }
        return text
    }

    mutating func lines(_ count: Int) -> String {
        (0..<count).map { _ in
            let words = (0..<3 + next(below: 20)).map { _ in word(next(below: 1 + next(below: 600))) }
            return words.joined(separator: " ") + "\n"
        }.joined()
    }
}

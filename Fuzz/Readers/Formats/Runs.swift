import EttinFiles
import EttinJSON
import EttinPretraining
import EttinTraining

extension FuzzReader {
    static let runs = [trainerState, metrics, history, ledger]

    // MARK: - Checkpoints

    private static let state = """
        {"version": 1, "clock": {"epoch": 1, "batch": 7, "sample": 224, "token": 5000, "batch_in_epoch": 3,
         "sample_in_epoch": 96, "token_in_epoch": 2100, "seconds": 1.5}, "previous": {"sample": 192, "token": 4000,
         "seconds": 1.25}, "data": {"epoch": 1, "position": 96, "step": 7, "tokens": 5000}, "ledger": {"steps": 7,
         "chain": "0000000000000000000000000000000000000000000000000000000000000000"},
         "optimizer": {"name": "decoupled_stableadamw", "steps": 7, "lr": 0.001, "next_lr": null, "base_lr": 0.001,
         "reference_lr": 0.001}, "facts": {"seed": "17"}, "evaluation": {"metrics/eval/MaskedAccuracy": 0.5},
         "best": {"metric": "metrics/eval/MaskedAccuracy", "greater_is_better": true, "value": 0.5, "batch": 5}}
        """

    private static let trainerState = FuzzReader(
        name: "trainer-state",
        make: { dice in FuzzInput("step7/trainer_state.json", JSONMutation().mutated(Array(state.utf8), &dice)) },
        read: { _, folder in
            guard let entry = try CheckpointStore(folder: folder, tag: "step").newest() else {
                throw BrokenPromise("a checkpoint is not found")
            }
            let start = try InitialTrainerState(resuming: entry, runIdentity: ["seed": "17"])
            // What a run that is resumed does first.
            var clock = start.clock
            clock.advance(samples: 1 << 24, tokens: 1 << 40, epoch: clock.epoch)
            let length = try RunLength(
                TrainingTime(100, .batch),
                schedule: .constantWithWarmup(warmup: TrainingTime(10, .batch)),
                batchesPerEpoch: 10
            )
            _ = length.ends(TrainingTime(0.1, .duration), at: clock, since: start.clock)
            try CheckpointStore(folder: folder, tag: "step").prune(keepingLast: 1) { _ in false }
            try TrainerState(folder: entry.path).write(toFolder: entry.path)
        }
    )

    // MARK: - What runs leave

    private static let metricLines: [String] = (1...6).map { batch in
        #"{"time/batch":\#(batch),"time/sample":\#(8 * batch),"time/token":\#(4096 * batch),"time/seconds":\#(batch).5,"#
            + #""loss/train/total":\#(8 - batch),"lr-StableAdamW/group0":0.001,"throughput/tokens_per_sec":1000,"#
            + #""memory/peak_bytes":4e8,"gradient_norms/l2_norm":1.5,"metrics/eval/LanguageCrossEntropy":\#(8 - batch).25,"#
            + #""metrics/eval/MaskedAccuracy":0.\#(batch),"metrics/eval/Perplexity":30.5}"#
    }

    private static let runFacts =
        #"{"name":"nano","kind":"encoder","objective":"mlm","parameters":531200,"#
        + #""vocab_size":2000,"phase":"step","recipe":{"seed":17,"max_seq_len":512},"data":"data/train","eval_data":null}"#

    /// A line with numbers at the ends of the range, or one that is malformed.
    private static func changedLine(_ line: String, _ dice: inout Dice) -> [UInt8] {
        guard dice.chance(0.7), var object = (try? JSONValue(parsing: Array(line.utf8)))?.objectValue else {
            return JSONMutation().mutated(Array(line.utf8), &dice)
        }
        for _ in 0..<dice.pick([1, 2, 5]) {
            let key = dice.pick(object.keys)
            object[key] =
                key.hasPrefix("time/")
                ? JSONValue(dice.pick([0, 1, 1 << 40, 1 << 53, 5]))
                : JSONValue(
                    dice.pick([
                        1.7e308, -1.7e308, .leastNonzeroMagnitude, 0, -0.0, 1e-300, 1e19, 0x1p63, 0.5, 1, .nan,
                        .infinity, 1e300,
                    ])
                )
        }
        return JSONMutation.written(.object(object))
    }

    private static let metrics = FuzzReader(
        name: "metrics",
        make: { dice in
            let changesAll = dice.chance(0.3)
            var files: [(String, [UInt8])] = []
            for kind in ["encoder", "decoder"] {
                var facts = runFacts.replacing("\"encoder\"", with: "\"\(kind)\"")
                if dice.chance(0.1) {
                    facts = String(decoding: JSONMutation().mutated(Array(facts.utf8), &dice), as: UTF8.self)
                }
                var lines: [UInt8] = []
                for line in metricLines {
                    lines += changesAll || dice.chance(0.2) ? changedLine(line, &dice) : Array(line.utf8)
                    lines.append(0x0A)
                }
                files += [("\(kind)/run.json", Array(facts.utf8)), ("\(kind)/metrics.jsonl", lines)]
                files.append(("\(kind)/ledger.jsonl", ledgerText([1, 2], &dice)))
            }
            return FuzzInput(files)
        },
        read: { _, folder in
            var options = RunReport.Options()
            options.includesSamples = false
            let report = try RunReport([folder], options: options)
            _ = report.json
            try report.write(folder + "/report.html")
        }
    )

    private static let historyText = """
        {"epoch": 1.0, "global_step": 20, "max_steps": 20, "log_history": [
         {"loss": 3.5, "grad_norm": 12.5, "learning_rate": 0.0, "epoch": 0.5, "step": 10},
         {"eval_loss": 2.5, "eval_dev_cosine_accuracy": 0.75, "eval_runtime": 0.5, "epoch": 0.5, "step": 10},
         {"loss": 2.5, "grad_norm": NaN, "learning_rate": 5e-05, "epoch": 1.0, "step": 20},
         {"train_runtime": 12.5, "train_loss": 3.0, "total_flos": 0.0, "epoch": 1.0, "step": 20}]}
        """

    private static let history = FuzzReader(
        name: "log-history",
        make: { dice in FuzzInput("trainer_state.json", JSONMutation().mutated(Array(historyText.utf8), &dice)) },
        read: { _, folder in
            var options = RunReport.Options()
            options.includesSamples = false
            let report = try RunReport([folder], options: options)
            _ = report.json
            try report.write(folder + "/report.html")
        }
    )

    // MARK: - Ledgers

    /// Lines whose chain holds, with any counts.
    private static func ledgerText(_ counts: [Int], _ dice: inout Dice) -> [UInt8] {
        var previous = SHA256Digest.zero
        var text: [UInt8] = []
        for (step, count) in counts.enumerated() {
            let digest = SHA256Digest(of: [UInt8(truncatingIfNeeded: step)])
            let data = BatchFingerprint(samples: max(0, count), tokens: max(0, count), digest: digest)
            let entry = DataLedger.Entry(step: step, data: data, after: previous)
            text += entry.json.serialized() + [0x0A]
            previous = entry.chain
        }
        return text
    }

    private static let ledger = FuzzReader(
        name: "ledger",
        make: { dice in
            let counts = (0..<dice.below(6)).map { _ in dice.chance(0.5) ? dice.pick(Hostile.integers) : 8 }
            var lines = ledgerText(counts, &dice).split(separator: 0x0A).map { Array($0) }
            if !lines.isEmpty, dice.chance(0.5) {
                let place = dice.below(lines.count)
                lines[place] = JSONMutation().mutated(lines[place], &dice)
            }
            let text: [UInt8] = lines.flatMap { $0 + [0x0A] }
            return FuzzInput("ledger.jsonl", dice.chance(0.1) ? ByteMutation.mutated(text, &dice) : text)
        },
        read: { _, folder in
            let ledger = try DataLedger(path: folder + "/ledger.jsonl")
            _ = (ledger.tokens, ledger.head)
            _ = try DataLedgerWriter(path: folder + "/ledger.jsonl", continuingAfterBatch: ledger.entries.count)
        }
    )
}

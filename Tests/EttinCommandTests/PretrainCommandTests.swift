import EttinJSON
import Foundation
import Testing

/// Data of one tokenizer, another tokenizer of the same size, and a recipe that reads them.
struct SmallRun {
    let folder: String

    init(_ folder: String) throws {
        self.folder = folder
        for (name, words) in [("tokenizer", "stone window river"), ("other", "hglmv drmwld irevi")] {
            let lines = (0..<40).map { "\(words) \(words.reversed().map(String.init).joined()) \($0)" }
            let text = try write(lines.joined(separator: "\n"), to: "\(folder)/\(name).txt")
            try Command.succeed(
                ["tokenizer", "train", text, "--vocab-size", "290", "--output", "\(folder)/\(name)"]
            )
        }
        for split in ["train", "validation"] {
            try Command.succeed(
                [
                    "data", "tokenize", "tokenizer.txt", "--separator", #"\n"#, "--tokenizer", "tokenizer", "-o",
                    "data/\(split)",
                ],
                in: folder
            )
        }
        _ = try write(Self.recipe, to: "\(folder)/recipe.yaml")
    }

    func pretrain(_ arguments: String...) throws -> CommandResult {
        try Command.run(["pretrain", "recipe.yaml", "--threads", "1"] + arguments, in: folder)
    }

    func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder)/\(path)") }

    private static let recipe = """
        data_local: data
        tokenizer_name: tokenizer
        max_seq_len: 32
        mlm_probability: 0.3
        model:
          name: flex_bert
          model_config: {vocab_size: tokenizer, init_method: full_megatron, num_hidden_layers: 1, hidden_size: 16,
            intermediate_size: 16, num_attention_heads: 1}
        train_loader:
          name: text
          dataset: {local: "${data_local}", split: train, shuffle: true, streaming: false}
        eval_loader:
          name: text
          dataset: {local: "${data_local}", split: validation, shuffle: false, streaming: false, mlm_probability: 0.15}
          drop_last: false
        scheduler: {name: constant_with_warmup, t_warmup: 0ba}
        optimizer: {name: adamw, lr: 1e-3, betas: [0.9, 0.98], eps: 1e-6, weight_decay: 1e-5}
        max_duration: 2ba
        global_train_batch_size: 4
        device_train_microbatch_size: 4
        precision: fp32
        save_folder: run
        autoresume: true
        """
}

@Suite("ettin pretrain")
struct PretrainCommandTests {
    @Test("Data and the tokenizer that did not make them are refused by all that uses both")
    func otherTokenizer() throws {
        try withTemporaryFolder { folder in
            let run = try SmallRun(folder)
            let words = ["data/train: was made with another tokenizer", "data/train/manifest.json has the fingerprint"]
            func expectRefused(_ result: CommandResult, _ name: String) {
                #expect(result.code == 1, "\(name): \(result.errors)")
                for word in words + ["and other has 29"] { #expect(result.errors.contains(word), "\(name)") }
            }
            expectRefused(try run.pretrain("tokenizer_name=other"), "pretrain")
            expectRefused(try run.pretrain("tokenizer_name=other", "--dry-run"), "pretrain --dry-run")
            #expect(!run.exists("run"))
            for arguments in [["chunk", "-o", "chunks"], ["verify"], ["inspect"]] {
                let command = ["data", arguments[0], "data/train", "--tokenizer", "other"] + arguments.dropFirst()
                expectRefused(try Command.run(command, in: folder), arguments[0])
            }
            #expect(!run.exists("chunks"))
            // Without a manifest there is nothing to compare with, which is said.
            try FileManager.default.removeItem(atPath: "\(folder)/data/train/manifest.json")
            let result = try run.pretrain()
            #expect(result.code == 0)
            #expect(result.errors.contains("data/train has no manifest.json that names its tokenizer"))
            let verified = try Command.run(["data", "verify", "data/train", "--tokenizer", "tokenizer"], in: folder)
            #expect(verified.code == 0 && verified.errors.contains("has no manifest.json that names its tokenizer"))
        }
    }

    @Test("Mistakes in data are found by a plan too, and before a run writes anything")
    func mistakes() throws {
        try withTemporaryFolder { folder in
            let run = try SmallRun(folder)
            let empty = "\(folder)/empty/validation"
            try FileManager.default.createDirectory(atPath: empty, withIntermediateDirectories: true)
            _ = try write(#"{"version":2,"shards":[]}"#, to: "\(empty)/index.json")
            for more in [[], ["--dry-run"]] {
                let command = ["pretrain", "recipe.yaml", "eval_loader.dataset.local=empty"] + more
                let result = try Command.run(command, in: folder)
                #expect(result.code == 1)
                #expect(result.errors.contains("eval_loader.dataset: is empty/validation, which holds no samples"))
            }
            #expect(!run.exists("run"))
            // Data that are not there are no mistake of a plan.
            #expect(try run.pretrain("data_local=absent", "--dry-run").code == 0)
        }
    }

    @Test("A run is resumed with other settings by --accept-changes alone, and says when there is nothing to train")
    func changes() throws {
        try withTemporaryFolder { folder in
            let run = try SmallRun(folder)
            #expect(try run.pretrain().code == 0)
            let finished = try run.pretrain()
            #expect(finished.code == 0)
            #expect(finished.errors.contains("run: finished already, nothing to train: max_duration is 2ba"))
            let shorter = try run.pretrain("max_duration=1ba")
            #expect(shorter.code == 1)
            #expect(shorter.errors.contains("max_duration: is 1ba, but run/step2 has 2ba behind it already"))
            let refused = try run.pretrain("max_duration=3ba", "optimizer.weight_decay=0.1")
            #expect(refused.code == 1)
            #expect(refused.errors.contains("error: optimizer.weight_decay: is 0.1, but the run in run has 1e-05"))
            let accepted = try run.pretrain("max_duration=3ba", "optimizer.weight_decay=0.1", "--accept-changes")
            #expect(accepted.code == 0)
            #expect(accepted.errors.contains("optimizer.weight_decay is 0.1 instead of 1e-05, by --accept-changes"))
            #expect(accepted.errors.contains("max_duration is 3ba instead of 2ba"))
            #expect(run.exists("run/run.1.json") && run.exists("run/step3"))
        }
    }

    @Test("A run is not resumed with a tokenizer that its checkpoint does not hold")
    func resumedTokenizer() throws {
        try withTemporaryFolder { folder in
            let run = try SmallRun(folder)
            #expect(try run.pretrain().code == 0)
            for split in ["train", "validation"] {
                try FileManager.default.removeItem(atPath: "\(folder)/data/\(split)/manifest.json")
            }
            let result = try run.pretrain("max_duration=3ba", "tokenizer_name=other")
            #expect(result.code == 1)
            #expect(result.errors.contains("tokenizer_name: is other, but run/step2 was made with another tokenizer"))
        }
    }
}

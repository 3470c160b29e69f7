import EttinCorpus
import EttinModel
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinPretraining

@Suite("Plans")
struct PretrainingPlanTests {
    @Test("a run of tokens has as many steps as batches of the average length fill it")
    func steps() throws {
        let plan = try PretrainingPlan(RecipeText.recipe(), tokensPerSequence: 50)
        #expect(plan.tokensPerStep == 400)
        #expect(plan.steps == 250)
        #expect(plan.tokens == 100_000)
        #expect(plan.sequenceLength.source == .given)
        // The warm-up is counted in batches, the decay in tokens.
        #expect(plan.rates.map(\.time) == [0, 25_000, 50_000, 75_000, 100_000])
        #expect(plan.rates[1].value == 3e-3)
        #expect(abs(plan.rates[4].value - 6e-5) < 1e-15)
        #expect(plan.batchesPerEpoch == nil)
    }

    @Test(
        "a run's length may be in any unit",
        arguments: [("500ba", 500), ("1000sp", 125), ("4000tok", 10), ("4001tok", 11), ("10iter", 10)]
    )
    func units(length: String, steps: Int) throws {
        let recipe = try RecipeText.recipe(["max_duration=\(length)", "scheduler.t_warmup=0.1dur"])
        #expect(try PretrainingPlan(recipe, tokensPerSequence: 50).steps == steps)
    }

    @Test("without the data the longest sequence is assumed, and passes and seconds are not known in steps")
    func assumptions() throws {
        let plan = try PretrainingPlan(RecipeText.recipe())
        #expect(plan.sequenceLength.source == .assumed)
        #expect(plan.sequenceLength.mean == 128)
        #expect(plan.text.contains("128 tokens assumed, the maximum"))
        for length in ["2ep", "60sec"] {
            let recipe = try RecipeText.recipe(["max_duration=\(length)", "scheduler.t_warmup=0.1dur"])
            let plan = try PretrainingPlan(recipe)
            #expect(plan.steps == nil)
            #expect(plan.checkpoints == nil)
            #expect(plan.text.contains("unknown without the data"))
        }
    }

    @Test("with the data lengths are measured and passes counted")
    func measured() throws {
        try withTemporaryFolder { folder in
            let writer = try MDSWriter(
                folder: folder.file("train"),
                columns: [("input_ids", .array(element: .uint16, shape: nil))],
                options: MDSWriter.Options(compression: .zstandard)
            )
            for sample in 0..<100 {
                let ids = [Int32](repeating: 7, count: sample % 2 == 0 ? 9 : 299)
                try writer.append(["input_ids": .array(try MDSArray(tokenIDs: ids, element: .uint16))])
            }
            try writer.finish()
            let before = try FileManager.default.subpathsOfDirectory(atPath: folder.path)
            let overrides = ["data_local=\(folder.path)", "max_duration=2ep", "scheduler.t_warmup=1ep"]
            let plan = try PretrainingPlan(RecipeText.recipe(overrides))
            // With the start token, and cut to 128.
            #expect(plan.sequenceLength.mean == (10 + 128) / 2.0)
            #expect(plan.sequenceLength.source == .measured)
            #expect(plan.batchesPerEpoch == 12)
            #expect(plan.steps == 24)
            #expect(abs(plan.rates[1].value - 1.5e-3) < 1e-9)
            #expect(try FileManager.default.subpathsOfDirectory(atPath: folder.path) == before)
        }
    }

    @Test("checkpoints are counted with the one at the end, and tagged by their steps")
    func checkpoints() throws {
        func plan(_ overrides: String...) throws -> PretrainingPlan.Checkpoints? {
            try PretrainingPlan(RecipeText.recipe(overrides + ["phase=ext"]), tokensPerSequence: 50).checkpoints
        }
        let byTokens = try #require(try plan("save_interval=30_000tok"))
        #expect(byTokens.count == 4)
        #expect(byTokens.tags == ["ext75", "ext150", "ext225", "ext250"])
        let byBatches = try #require(try plan("save_interval=25ba"))
        #expect(byBatches.count == 10)
        #expect(byBatches.tags == ["ext25", "ext50", "ext250"])
        let always = try #require(try plan("save_interval=1tok"))
        #expect(always.count == 250)
        #expect(always.tags == ["ext1", "ext2", "ext250"])
        let never = try #require(try plan("save_interval=1000ba"))
        #expect(never.count == 1)
        #expect(never.tags == ["ext250"])
    }

    @Test("a batch that grows takes more steps")
    func growth() throws {
        let overrides = ["rules.batch_size_warmup=intended", "train_loader.batch_size_warmup_tokens=50_000tok"]
        let plan = try PretrainingPlan(RecipeText.recipe(overrides), tokensPerSequence: 50)
        // Sizes 4 to 7 share the first half evenly by steps: 50 000 tokens in steps of 5.5 sequences on average.
        let growing = 50_000 / (5.5 * 50)
        #expect(abs(Double(plan.steps ?? 0) - (growing + 125)) <= 1)
        #expect(plan.batchSizes.first == PretrainingPlan.BatchSize(tokens: 0, sequences: 4))
        #expect(plan.batchSizes.last == PretrainingPlan.BatchSize(tokens: 50_000, sequences: 8))
        #expect(plan.text.contains("batch growth          4 from 0, "))
    }

    @Test("memory is that of parameters, gradients, moments and a microbatch")
    func memory() throws {
        let recipe = try RecipeText.recipe()
        let plan = try PretrainingPlan(recipe, tokensPerSequence: 50)
        let parameters = Double(recipe.model.parameterCount)
        #expect(plan.memory.weights == 4 * parameters)
        #expect(plan.memory.optimizer == 8 * parameters)
        #expect(plan.memory.activations == plan.memory.activationsPerToken * 4 * 50)
        let checkpointed = try PretrainingPlan(RecipeText.recipe(["gradient_checkpointing=true"]))
        #expect(checkpointed.memory.activationsPerToken < plan.memory.activationsPerToken)
        let open = try PretrainingPlan(RecipeText.recipe(["device_train_microbatch_size=auto"]))
        #expect(open.memory.activations == nil)
        let byTokens = ["device_train_microbatch_size=auto", "max_tokens_per_microbatch=1000"]
        let bounded = try PretrainingPlan(RecipeText.recipe(byTokens))
        #expect(bounded.memory.activations == bounded.memory.activationsPerToken * 1000)
    }

    @Test("the text names everything, with a curve of the rate")
    func text() throws {
        let text = try PretrainingPlan(RecipeText.recipe(["save_folder=runs"]), tokensPerSequence: 50).text
        for part in [
            "encoder, masked language modeling of 30 %", "4 layers of 64, MLP 96, 2 heads of 32",
            "vocabulary            50,368",
            "about 250", "100k tokens",
            "warmup_stable_decay, warm-up 10 steps, decay 20k tokens",
            "50 %                  0.003 at 50k tokens", "0.003 |", "    0 +---", "learning_rate_timing  intended",
            "inert: batch_size_warmup_tokens",
        ] {
            #expect(text.contains(part), "\(part) is not in\n\(text)")
        }
        let curve = text.split(separator: "\n").filter { $0.contains(" |") }
        #expect(curve.count == 8)
        #expect(curve[0].contains("***"))
    }

    @Test("what the loaded run alone knows is said to be unknown, and an evaluation that never comes is named")
    func unknowns() throws {
        let overrides = [
            "load_path=x", "restart_override=true", "rules.decay_base_rate=literal",
            "scheduler={name: one_minus_sqrt, t_decay: 1dur, t_max: 1dur, alpha_f: 0.1}",
            "eval_loader={dataset: {local: e, mlm_probability: 0.15}}", "eval_interval=1_000_000ba",
        ]
        let text = try PretrainingPlan(RecipeText.recipe(overrides), tokensPerSequence: 50).text
        #expect(text.contains("By decay_base_rate: literal"))
        #expect(text.contains("evaluation            e, never, as the run ends before 1000000ba"))
        #expect(text.contains("load_path without reset_time"))
        let intended = try PretrainingPlan(RecipeText.recipe(Array(overrides.prefix(2))), tokensPerSequence: 50).text
        #expect(!intended.contains("By decay_base_rate"))
    }

    @Test(
        "runs of any length are planned without a crash",
        arguments: ["9007199254740992ba", "9e15tok", "9e15sp", "1tok", "9e15sec", "9e15ep"]
    )
    func extremes(length: String) throws {
        let recipe = try RecipeText.recipe(["max_duration=\(length)", "scheduler.t_warmup=0.1dur"])
        let plan = try PretrainingPlan(recipe, tokensPerSequence: 50)
        #expect(plan.rates.allSatisfy { $0.value >= 0 && $0.value <= 3e-3 })
        #expect(plan.text.contains("learning rate"))
    }

    @Test("an impossible length of a sequence is refused", arguments: [0.5, 129, .nan])
    func impossible(length: Double) throws {
        let recipe = try RecipeText.recipe()
        #expect {
            try PretrainingPlan(recipe, tokensPerSequence: length)
        } throws: {
            "\($0)" == "tokens per sequence: are \(length); expected 1 to max_seq_len, 128"
        }
    }
}

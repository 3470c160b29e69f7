import EttinFiles
import EttinJSON
import EttinRecipes
import EttinTraining
import TestSupport
import Testing

@testable import EttinFineTuning

@Suite("Arguments of fine-tuning")
struct TrainingArgumentsTests {
    private func arguments(_ values: String...) throws -> TrainingArguments {
        var tree = try RecipeTree(.object([:]), name: "recipe")
        for value in values { try tree.override(value) }
        let section = try RecipeSection(tree.root, path: "", name: "recipe", schema: TrainingArguments.keys)
        return try TrainingArguments(section)
    }

    @Test("Defaults are those of transformers")
    func defaults() throws {
        let arguments = try arguments()
        #expect(arguments.trainBatchSize == 8 && arguments.evaluationBatchSize == 8 && arguments.accumulationSteps == 1)
        #expect(arguments.epochs == 3 && arguments.maxSteps == nil && arguments.learningRate == 5e-5)
        #expect(arguments.weightDecay == 0 && arguments.beta1 == 0.9 && arguments.beta2 == 0.999)
        #expect(arguments.epsilon == 1e-8 && arguments.maxGradientNorm == 1 && arguments.seed == 42)
        #expect(arguments.schedule == .linear && arguments.warmup == .count(0))
        #expect(arguments.loggingSteps == .count(500) && arguments.savingSteps == .count(500))
        #expect(arguments.evaluation == .no && arguments.saving == .steps && arguments.totalLimit == nil)
        #expect(!arguments.usesBFloat16 && !arguments.dropsLast && arguments.notices == [])
    }

    @Test("Steps of a pass are rounded up, and so are fractions of the run")
    func lengths() throws {
        let arguments = try arguments(
            "gradient_accumulation_steps=4",
            "num_train_epochs=1.5",
            "warmup_ratio=0.1",
            "eval_strategy=steps",
            "eval_steps=0.25",
            "save_steps=0.5",
            "save_total_limit=2"
        )
        let length = try arguments.length(microbatches: 10, rows: 77)
        #expect(length.stepsPerEpoch == 3 && length.totalSteps == 5 && length.epochs == 2 && length.warmupSteps == 1)
        let strategies = try #require(try arguments.trainerSettings(length).strategies)
        #expect(strategies.evaluation == .steps(2) && strategies.saving == .steps(3) && strategies.totalLimit == 2)
        #expect(strategies.logging == .steps(500) && strategies.sampleCount == 77 * 1.5)
        let counted = try self.arguments("max_steps=7").length(microbatches: 3, rows: 20)
        #expect(counted.totalSteps == 7 && counted.epochs == 3 && counted.sampleCount == 56)
        // The model card's runs.
        let card = try self.arguments("num_train_epochs=1", "warmup_ratio=0.05", "per_device_train_batch_size=512")
        let steps = try card.length(microbatches: 2442, rows: 1_250_000)
        #expect(steps.totalSteps == 2442 && steps.warmupSteps == 123)
        #expect(throws: TrainingError.self) { try arguments.length(microbatches: 0, rows: 3) }
    }

    @Test("The best model is known by its metric, and by its name which way is better")
    func best() throws {
        let matching = ["eval_strategy=steps", "eval_steps=10", "save_steps=20", "load_best_model_at_end=true"]
        func settings(_ values: String...) throws -> TrainerSettings {
            var tree = try RecipeTree(.object([:]), name: "recipe")
            for value in matching + values { try tree.override(value) }
            let section = try RecipeSection(tree.root, path: "", name: "recipe", schema: TrainingArguments.keys)
            let arguments = try TrainingArguments(section)
            return try arguments.trainerSettings(arguments.length(microbatches: 100, rows: 800))
        }
        #expect(try settings().best == BestModelSettings(metric: "eval_loss", greaterIsBetter: false))
        #expect(
            try settings("metric_for_best_model=dev_cosine_accuracy").best
                == BestModelSettings(metric: "eval_dev_cosine_accuracy", greaterIsBetter: true)
        )
        #expect(
            try settings("metric_for_best_model=eval_x", "greater_is_better=false").best
                == BestModelSettings(metric: "eval_x", greaterIsBetter: false)
        )
    }

    struct Refusal: CustomStringConvertible {
        let values: [String]
        let text: String
        var description: String { values.joined(separator: " ") }
    }

    @Test(
        "What cannot be, or is not done here, is refused by its name",
        arguments: [
            Refusal(values: ["learning_rates=1"], text: "did you mean learning_rate?"),
            Refusal(values: ["learning_rate=0"], text: "a number above 0"),
            Refusal(values: ["fp16=true", "bf16=true"], text: "one of them"),
            Refusal(values: ["push_to_hub=true"], text: "ettin push"),
            Refusal(values: ["deepspeed=ds.json"], text: "one process trains"),
            Refusal(values: ["optim=adafactor"], text: "adamw_torch"),
            Refusal(values: ["report_to=wandb"], text: "none or tensorboard"),
            Refusal(values: ["lr_scheduler_type=cosin"], text: "did you mean cosine?"),
            Refusal(values: ["lr_scheduler_type=warmup_stable_decay"], text: "num_decay_steps"),
            Refusal(values: ["lr_scheduler_type=reduce_lr_on_plateau"], text: "eval_strategy"),
            Refusal(
                values: ["load_best_model_at_end=true", "eval_strategy=epoch"],
                text: "the same for both, or save_strategy: best"
            ),
            Refusal(
                values: ["load_best_model_at_end=true", "eval_strategy=steps", "eval_steps=3", "save_steps=10"],
                text: "no multiple of eval_steps"
            ),
            Refusal(values: ["warmup_steps=1.5"], text: "a whole number of steps"),
            Refusal(values: ["num_train_epochs=0"], text: "a number above 0"),
            Refusal(values: ["max_steps=0"], text: "1 or more"),
            Refusal(values: ["ignore_data_skip=true"], text: "the same bits"),
            Refusal(values: ["save_strategy=best"], text: "eval_strategy is no"),
            Refusal(values: ["save_strategy=best", "eval_strategy=epoch"], text: "metric_for_best_model"),
            Refusal(
                values: ["eval_strategy=steps", "logging_strategy=no", "logging_steps=0"],
                text: "neither eval_steps nor logging_steps"
            ),
        ]
    )
    func refusals(_ refusal: Refusal) throws {
        var tree = try RecipeTree(.object([:]), name: "recipe")
        for value in refusal.values { try tree.override(value) }
        let root = tree.root
        let error = #expect(throws: RecipeError.self) {
            let section = try RecipeSection(root, path: "", name: "recipe", schema: TrainingArguments.keys)
            _ = try TrainingArguments(section)
        }
        #expect("\(try #require(error))".contains(refusal.text), "\(String(describing: error))")
    }

    @Test("A token is refused without being told")
    func token() throws {
        let error = #expect(throws: RecipeError.self) { try arguments("hub_token=hf_secret") }
        let text = "\(try #require(error))"
        #expect(text.contains("HF_TOKEN") && !text.contains("hf_secret"), "\(text)")
        #expect(try arguments("hub_token=null", "fsdp=[]", "debug=[]").notices == [])
    }

    @Test("What has no effect is said once, with its reason")
    func notices() throws {
        let arguments = try arguments(
            "dataloader_num_workers=4",
            "dataloader_pin_memory=true",
            "dataloader_prefetch_factor=2",
            "ddp_timeout=60",
            "fp16=false",
            "lr_scheduler_type=constant",
            "warmup_ratio=0.1"
        )
        #expect(arguments.notices.count == 3, "\(arguments.notices)")
        #expect(arguments.notices[0].contains("dataloader_num_workers, dataloader_prefetch_factor"))
        #expect(arguments.notices[2].contains("constant"))
    }

    @Test("fp16 means bfloat16, which is told")
    func float16() throws {
        let arguments = try arguments("fp16=true", "bf16=false", "fp16_full_eval=true")
        #expect(arguments.usesBFloat16 && arguments.evaluatesInBFloat16 && arguments.notices.count == 2)
        #expect(try !self.arguments("fp16=false").usesBFloat16)
    }

    @Test("Schedules take their arguments, with the defaults of transformers")
    func schedules() throws {
        #expect(try arguments("lr_scheduler_type=cosine").schedule == .cosine(cycles: 0.5))
        #expect(
            try arguments("learning_rate=1e-3", "lr_scheduler_type=polynomial", "lr_scheduler_kwargs={power: 2}")
                .schedule
                == .polynomial(power: 2, end: 1e-7 / 1e-3)
        )
        #expect(
            try arguments(
                "learning_rate=1e-3",
                "lr_scheduler_type=cosine_with_min_lr",
                "lr_scheduler_kwargs={min_lr: 1e-4}"
            )
            .schedule == .cosineWithMinimum(cycles: 0.5, minimum: 1e-4 / 1e-3)
        )
        #expect(try arguments("warmup_steps=7").warmup == .count(7))
        #expect(try arguments("warmup_steps=0.1").warmup == .fraction(0.1))
        #expect(try arguments("warmup_steps=7", "warmup_ratio=0.5").warmup == .count(7))
    }
}

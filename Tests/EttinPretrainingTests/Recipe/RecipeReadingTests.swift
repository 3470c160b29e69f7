import EttinCorpus
import EttinJSON
import EttinModel
import EttinPretraining
import EttinTraining
import TestSupport
import Testing
import Torch

@Suite("Reading recipes")
struct RecipeReadingTests {
    @Test("a recipe's values reach their places")
    func values() throws {
        let recipe = try RecipeText.recipe()
        #expect(recipe.runName == "small")
        #expect(recipe.kind == .encoder)
        #expect(recipe.startKind == .encoder)
        #expect(recipe.objective == .masked(probability: 0.3))
        #expect(recipe.model.layerTypes == LayerType.pattern(layers: 4, globalEvery: 3))
        #expect(recipe.model.hiddenSize == 64)
        #expect(recipe.model.globalRope.theta == 10_000)
        #expect(recipe.model.localRope.theta == 10_000)
        #expect(recipe.model.maxPositionEmbeddings == 128)
        #expect(recipe.model.normEpsilon == 1e-5)
        #expect(recipe.model.attentionDropout == 0)
        #expect(recipe.attentionOutputDropout == 0.1)
        #expect(recipe.tokenizerName == "tokenizer")
        #expect(recipe.data.localPath == "data")
        #expect(recipe.data.maxSequenceLength == 128)
        #expect(recipe.data.order == .permutation)
        #expect(recipe.data.shuffleSeed == 21)
        #expect(recipe.optimizer.learningRate == 3e-3)
        #expect(recipe.optimizer.beta2 == 0.98)
        #expect(recipe.optimizer.weightDecay == 3e-4)
        #expect(recipe.optimizer.epsilon == 1e-6)
        #expect(recipe.maxDuration == TrainingTime(100_000, .token))
        let decay = TrainingTime(0.2, .duration)
        let warmup = TrainingTime(10, .batch)
        #expect(recipe.schedule == .warmupStableDecay(warmup: warmup, decay: decay, finalFactor: 0.02))
        #expect(recipe.microbatchSize == 4)
        #expect(recipe.precision == .full)
        #expect(recipe.evalData == nil)
        #expect(recipe.checkpoints == CheckpointSettings())
        #expect(recipe.rules == CompatibilityRules())
        #expect(recipe.batchSizeWarmup == nil)
        #expect(recipe.notices.contains { $0.hasPrefix("inert: batch_size_warmup_tokens without sequence_packing") })
    }

    @Test("an override takes the place of a value, of a part of one, or is new")
    func overrides() throws {
        let recipe = try RecipeText.recipe([
            "optimizer.lr=1e-3", "optimizer.betas.1=0.95", "save_folder=runs/${run_name}",
            "device_train_microbatch_size=auto",
            "max_tokens_per_microbatch=4096", "rules.loss_weighting=intended",
            "model.model_config.vocab_size=tokenizer",
            "seed=7", "max_duration=2ep", "scheduler.t_decay=1ep", "device=gpu",
        ])
        #expect(recipe.optimizer.learningRate == 1e-3)
        #expect(recipe.optimizer.beta2 == 0.95)
        #expect(recipe.checkpoints.saveFolder == "runs/small")
        #expect(recipe.microbatchSize == nil)
        #expect(recipe.maxTokensPerMicrobatch == 4096)
        #expect(recipe.rules.lossWeighting == .intended)
        #expect(recipe.takesVocabularyFromTokenizer)
        #expect(recipe.seed == 7)
        #expect(recipe.maxDuration == TrainingTime(2, .epoch))
        #expect(recipe.device == "cuda")
        #expect(recipe.resolved["optimizer"]?["lr"]?.doubleValue == 1e-3)
        #expect(recipe.resolved["save_folder"]?.stringValue == "runs/small")
    }

    @Test("a reference may be to a key of a mapping, to a mapping, and through another reference")
    func interpolation() throws {
        let recipe = try RecipeText.recipe(
            [
                "eval_loader=${train_loader}", "eval_loader.drop_last=false", "eval_interval=10ba",
                "save_folder=${model.tokenizer_name}-${max_seq_len}", "run_name=${optimizer.name}",
            ].filter { !$0.hasPrefix("eval_loader.") }
        )
        #expect(recipe.evalData?.localPath == "data")
        #expect(recipe.evalMaskProbability == 0.3)
        #expect(recipe.checkpoints.saveFolder == "tokenizer-128")
        #expect(recipe.runName == "decoupled_stableadamw")
    }

    @Test("a decoder's recipe makes a decoder")
    func decoder() throws {
        let recipe = try RecipeText.recipe(RecipeText.decoder)
        #expect(recipe.kind == .decoder)
        #expect(recipe.objective == .causal)
        #expect(recipe.model.kind == .decoder)
        #expect(recipe.model.languageModel == "ModernBertDecoderForCausalLM")
    }

    @Test("cross-objective training says what it starts from")
    func crossObjective() throws {
        let recipe = try RecipeText.recipe(["model.name=flex_gpt_to_bert", "load_path=runs/decoder/step9"])
        #expect(recipe.kind == .encoder)
        #expect(recipe.startKind == .decoder)
        #expect(
            RecipeText.message(RecipeText.encoder, ["model.name=flex_gpt_to_bert"])
                == "r.yaml: model.name: is flex_gpt_to_bert, but there is no load_path; expected the model to start from"
        )
    }

    @Test(
        "loaders say in which order samples come",
        arguments: [
            (["train_loader.dataset.shuffle=false"], DataSettings.Order.sequential),
            (["train_loader.dataset.streaming=null"], .streaming(DataSettings.StreamingSettings())),
            (
                [
                    "train_loader.dataset.streaming=true", "train_loader.dataset.shuffle_algo=py1e",
                    "train_loader.dataset.num_canonical_nodes=4", "train_loader.dataset.shuffle_block_size=1000",
                ],
                .streaming(DataSettings.StreamingSettings(algorithm: .py1e, canonicalNodes: 4, blockSize: 1000))
            ),
            (
                ["train_loader.dataset.shuffle=false", "train_loader.dataset.order_path=order"],
                .explicit(path: "order")
            ),
        ]
    )
    func order(overrides: [String], order: DataSettings.Order) throws {
        #expect(try RecipeText.recipe(overrides).data.order == order)
    }

    @Test("several data sets are read as one, each with its weight")
    func streams() throws {
        let recipe = try RecipeText.recipe([
            "train_loader.dataset.local=null",
            "train_loader.dataset.streams={a: {local: x, proportion: 0.5}, b: {local: y, split: z, proportion: 2}}",
        ])
        #expect(
            recipe.data.streams == [
                DataSettings.Stream(name: "a", localPath: "x", weight: .proportion(0.5)),
                DataSettings.Stream(name: "b", localPath: "y", split: "z", weight: .proportion(2)),
            ]
        )
    }

    @Test("the growth of the batch works inside the packer, or by the rule")
    func growth() throws {
        let settings = BatchSizeWarmupSettings(minSize: 4, tokens: 1000)
        let packed = try RecipeText.recipe([
            "train_loader.sequence_packing=true", "train_loader.packing_buffer_size=64",
        ])
        #expect(packed.batchSizeWarmup == settings)
        #expect(packed.data.packing == .greedyBestFit(bufferSize: 64))
        #expect(try RecipeText.recipe(["rules.batch_size_warmup=intended"]).batchSizeWarmup == settings)
    }

    @Test("averages of weights are read with their spans")
    func averaging() throws {
        let half = try RecipeText.recipe(["algorithms.ema={half_life: 100ba, update_interval: 10ba}"])
        guard case .ema(let average) = half.averaging else {
            Issue.record("no average")
            return
        }
        // After ten updates, one half-life, the old weights count half.
        var kept = 1.0
        for _ in 0..<10 { kept *= average.smoothing }
        #expect(abs(kept - 0.5) < 1e-12)
        #expect(try RecipeText.recipe(["average_last_checkpoints=5"]).averaging == .lastCheckpoints(5))
    }

    @Test(
        "a phase is named, or told by the names of the published runs",
        arguments: [
            (["phase=decay"], PretrainingPhase.decay), (["run_name=x_no_packing_de_decay"], .ext),
            (["run_name=x_no_packing_prolong_decay_lower_mask"], .decay), ([], .step),
        ]
    )
    func phases(overrides: [String], phase: PretrainingPhase) throws {
        #expect(try RecipeText.recipe(overrides).checkpoints.phase == phase)
    }

    @Test("numbers are numbers however YAML 1.1 reads them")
    func numbers() throws {
        for text in ["3e-3", "3.0e-03", "0.003", ".003", "3E-3"] {
            #expect(try RecipeText.recipe(["optimizer.lr=\(text)"]).optimizer.learningRate == 3e-3)
        }
        #expect(try RecipeText.recipe(["global_train_batch_size=4_608"]).globalTrainBatchSize == 4608)
        #expect(try RecipeText.recipe(["train_loader.drop_last=off"]).data.dropLast == false)
        #expect(try RecipeText.recipe(["run_name=1:30"]).runName == "1:30")
    }

    @Test("loggers that are not here are passed over with a notice")
    func loggers() throws {
        let recipe = try RecipeText.recipe(["loggers={wandb: {project: x}, tensorboard: false}"])
        #expect(!recipe.logging.tensorboard)
        #expect(recipe.logging.jsonl)
        #expect(recipe.notices.contains { $0.hasPrefix("ignored: loggers.wandb") })
    }

    @Test("placeholders are refused when a recipe is to be run, not before")
    func placeholders() throws {
        let recipe = try RecipeText.recipe(["save_folder=your_save_folder"])
        #expect {
            try recipe.checkRunnable()
        } throws: {
            "\($0)".hasPrefix("save_folder: is the placeholder \"your_save_folder\"; expected a path")
        }
        #expect(throws: Never.self) { try RecipeText.recipe(["save_folder=runs"]).checkRunnable() }
    }

    @Test("a tokenizer gives the model its rows and special tokens, if the model has room for them")
    func tokenizer() throws {
        let specials = SpecialTokens(unknown: 0, start: 1, end: 2, padding: 3, mask: 4)
        let open = try RecipeText.recipe(["model.model_config.vocab_size=tokenizer"])
        let fitted = try open.fitted(vocabularySize: 500, specials: specials)
        #expect(fitted.model.vocabularySize == 500)
        #expect(fitted.model.padTokenID == 3)
        #expect(fitted.model.eosTokenIDs == [2])
        let given = try RecipeText.recipe(["model.model_config.vocab_size=400"])
        #expect(given.model.padTokenID == nil)
        #expect(try given.fitted(vocabularySize: 300, specials: specials).model.vocabularySize == 400)
        #expect {
            try given.fitted(vocabularySize: 500, specials: specials)
        } throws: {
            "\($0)".hasPrefix("model.model_config.vocab_size: is 400, but the tokenizer has 500 tokens")
        }
        #expect {
            try given.fitted(vocabularySize: 400, specials: SpecialTokens())
        } throws: {
            "\($0)".hasPrefix("tokenizer_name: has the special token 50280, but the model has 400 rows")
        }
    }

    @Test("a recipe is read from a file, and a file that is not there is named")
    func files() throws {
        try withTemporaryFolder { folder in
            let path = try folder.write(RecipeText.encoder, "r.yaml")
            #expect(try PretrainingRecipe(path: path).runName == "small")
            #expect {
                try PretrainingRecipe(path: folder.file("none.yaml"))
            } throws: {
                ($0 as? TrainingError)?.kind == .missing && "\($0)".hasPrefix(folder.file("none.yaml"))
            }
        }
    }
}

extension ModernBERTConfiguration {
    fileprivate var languageModel: String? { architectures.first }
}

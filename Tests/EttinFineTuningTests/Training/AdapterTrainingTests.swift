import EttinFiles
import EttinInference
import EttinJSON
import EttinModel
import EttinTraining
import Foundation
import TestSupport
import Testing

@testable import EttinFineTuning

/// Runs that train low-rank adapters in place of a model's weights.
@Suite struct AdapterTrainingTests {
    static let values = ["use_peft=true", "lora_r=3", "lora_alpha=6"]

    static func losses(_ session: FineTuningSession) -> [Double] {
        session.progress.history.compactMap { $0["loss"]?.doubleValue }
    }

    @Test func aRunWritesAdaptersThatReadAsTheModel() throws {
        let run = try TinyRun()
        let session = try run.train(run.recipe("run", overriding: Self.values))
        let plan = session.plan
        // Rank 3 on Wqkv, Wo, Wi and Wo of each of two layers.
        let count = 2 * 3 * ((32 + 96) + (32 + 32) + (32 + 96) + (48 + 32))
        #expect(plan.trainedParameters == count && plan.json["trainable_parameters"]?.intValue == count)
        #expect(plan.text.contains("trained") && plan.stateBytes == Double(4 * plan.parameters + 12 * count))
        let losses = Self.losses(session)
        #expect(losses.count == 6 && losses.last ?? 9 < losses.first ?? 0)
        let final = try FilePath.names(inFolder: session.finalFolder)
        #expect(final.contains("adapter_config.json") && final.contains("adapter_model.safetensors"))
        #expect(final.contains("modules.json") && final.contains("tokenizer.json") && final.contains("README.md"))
        #expect(!final.contains("model.safetensors"))
        let card = try String(contentsOfFile: session.finalFolder + "/README.md", encoding: .utf8)
        #expect(card.contains("- peft") && card.contains("- lora"))

        let texts = ["the cat sat on the mat", "bread"]
        let trained = try TextEmbeddingPipeline(folder: AdapterFolder.opened(session.finalFolder))
        let base = try TextEmbeddingPipeline(folder: run.folder.file("model"))
        let (one, other) = try (trained.encode(texts), base.encode(texts))
        #expect(one.values != other.values)
    }

    @Test("A run of adapters is resumed to the same bits", arguments: [[], ["use_dora=true"], ["lora_dropout=0.3"]])
    func resuming(values: [String]) throws {
        let run = try TinyRun()
        func recipe(_ output: String) throws -> EmbeddingRecipe {
            let resumable = ["autoresume=true", "load_best_model_at_end=true"]
            return try run.recipe(output, overriding: Self.values + values + resumable)
        }
        let whole = try run.train(recipe("whole"))
        try run.train(recipe("parts"), steps: 3)
        let resumed = try run.train(recipe("parts"))
        #expect(Self.losses(resumed) == Self.losses(whole))
        let file = "final/adapter_model.safetensors"
        #expect(try run.bytes("parts/\(file)") == run.bytes("whole/\(file)"))
    }

    @Test func aRerankerStoresTheHeadThatIsNew() throws {
        let tiny = try TinyReranker()
        let session = try tiny.train(tiny.recipe("run", overriding: Self.values))
        let store = try TensorStore.open(file: session.finalFolder + "/adapter_model.safetensors")
        #expect(store.names.contains("base_model.model.classifier.weight"))
        let configuration = try LoRAConfiguration(folder: session.finalFolder)
        #expect(configuration.taskType == "SEQ_CLS" && configuration.modulesToSave == ["classifier", "score"])
        let reranker = try RerankingPipeline(folder: AdapterFolder.opened(session.finalFolder))
        #expect(try reranker.rank("cat", ["the cat", "bread"]).count == 2)
    }

    @Test func aClassifierIsTrainedAsOne() throws {
        let tiny = try TinyReranker()
        #expect {
            try tiny.train(tiny.recipe("run", overriding: Self.values + ["lora_task_type=CAUSAL_LM"]))
        } throws: {
            "\($0)".contains("lora_task_type") && "\($0)".contains("expected SEQ_CLS")
        }
    }

    @Test func theBaseIsNamedAsOthersFindIt() throws {
        let run = try TinyRun()
        var options = FineTuningSession.Options()
        options.modelFolder = { _ in run.folder.file("model") }
        let name = "model_name_or_path=owner/model@step5"
        let session = try FineTuningSession(run.recipe("run", overriding: Self.values + [name]), options)
        #expect(try session.run() == .finished)
        let configuration = try LoRAConfiguration(folder: session.finalFolder)
        #expect(configuration.baseModel == "owner/model" && configuration.revision == "step5")
    }

    @Test func keysWithoutAnEffectAreNamed() throws {
        let run = try TinyRun()
        let recipe = try run.recipe("run", "lora_r=4", "use_dora=true")
        #expect(recipe.settings.adapters == nil)
        #expect(recipe.settings.notices.contains { $0.contains("lora_r") && $0.contains("use_peft: true") })
    }

    struct Refusal: CustomStringConvertible {
        let values: [String]
        let text: String
        var description: String { values.joined(separator: " ") }
    }

    @Test(arguments: [
        Refusal(values: ["lora_r=0"], text: "lora_r"), Refusal(values: ["lora_dropout=1"], text: "0 to below 1"),
        Refusal(values: ["lora_bias=all"], text: "not supported"),
        Refusal(values: ["init_lora_weights=pissa"], text: "true, false or gaussian"),
        Refusal(values: ["lora_target_modules=[q_proj]"], text: "some of \"Wqkv\""),
        Refusal(values: ["lora_target_modules=Wo"], text: "meets no linear layer"),
        Refusal(values: ["lora_modules_to_save=[lm_head]"], text: "no module of the model"),
        Refusal(values: ["rank_pattern={Wo: x}"], text: "an integer from 1"),
        Refusal(values: ["rank_pattern=3"], text: "a mapping of names"),
        Refusal(values: ["layers_to_transform=[first]"], text: "numbers of layers"),
    ])
    func mistakesAreRefused(refusal: Refusal) throws {
        let run = try TinyRun()
        #expect {
            try FineTuningSession(run.recipe("run", overriding: Self.values + refusal.values), .init())
        } throws: {
            "\($0)".contains(refusal.text)
        }
        #expect(!FileManager.default.fileExists(atPath: run.folder.file("run")))
    }

    @Test func aRunGoesOnWithTheRecipeItBeganWith() throws {
        let run = try TinyRun()
        try run.train(run.recipe("run", overriding: Self.values), steps: 3)
        for (values, text) in [
            (["autoresume=true"], "holds adapters"),
            (Self.values + ["autoresume=true", "lora_target_modules=[Wi]"], "use_peft"),
        ] {
            #expect {
                try run.train(run.recipe("run", overriding: values))
            } throws: {
                "\($0)".contains(text)
            }
        }
    }
}

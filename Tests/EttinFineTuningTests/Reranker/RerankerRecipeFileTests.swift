import EttinJSON
import EttinModel
import EttinRecipes
import EttinTraining
import Foundation
import Testing
import Torch

@testable import EttinFineTuning

@Suite("Recipes of rerankers")
struct RerankerRecipeFileTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Recipes/finetune").path

    private static let names = Result {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("reranker-") }.sorted()
    }

    private func recipe(_ name: String) throws -> RerankerRecipe {
        try RerankerRecipe(path: "\(Self.folder)/\(name)")
    }

    @Test("every recipe parses, with its loss, and nothing in it is without an effect", arguments: try names.get())
    func parse(file: String) throws {
        let recipe = try recipe(file)
        _ = try recipe.losses(labelCount: 1)
        #expect(recipe.evaluator != nil && recipe.notices == [] && recipe.arguments.seed == 12)
        #expect(recipe.arguments.outputFolder.hasPrefix("output/") && recipe.arguments.loadsBestAtEnd)
    }

    @Test("the model cards' script has the arguments of the script")
    func card() throws {
        let recipe = try recipe("reranker-gooaq.yaml")
        let arguments = recipe.arguments
        #expect(recipe.model == "jhu-clsp/ettin-encoder-150m" && recipe.head == nil && recipe.labelCount == nil)
        let loss = try #require(try recipe.losses(labelCount: 1)(nil) as? BinaryCrossEntropyLoss)
        #expect(loss.positiveWeight == 5)
        #expect(arguments.epochs == 1 && arguments.trainBatchSize == 64 && arguments.evaluationBatchSize == 64)
        #expect(arguments.learningRate == 2e-5 && arguments.warmup == .fraction(0.1) && arguments.usesBFloat16)
        #expect(arguments.evaluation == .steps && arguments.evaluationSteps == .count(1000))
        #expect(arguments.savingSteps == .count(1000) && arguments.totalLimit == 2)
        #expect(arguments.loggingSteps == .count(200) && arguments.logsFirstStep)
        #expect(arguments.bestMetricKey == "eval_gooaq-dev_ndcg@10")
    }

    struct Distillation: Sendable {
        let size: String
        let rate: Double
        let batch, steps, warmup, evaluation: Int
    }

    @Test(
        "the distillations have the numbers of Ettin's rerankers",
        arguments: [
            Distillation(size: "17m", rate: 2.4e-4, batch: 1024, steps: 140_033, warmup: 4201, evaluation: 7002),
            Distillation(size: "32m", rate: 1.2e-4, batch: 512, steps: 280_066, warmup: 8402, evaluation: 14_004),
            Distillation(size: "68m", rate: 3e-5, batch: 256, steps: 560_131, warmup: 16_804, evaluation: 28_007),
            Distillation(size: "150m", rate: 1.5e-5, batch: 192, steps: 746_842, warmup: 22_406, evaluation: 37_343),
            Distillation(size: "400m", rate: 7e-6, batch: 256, steps: 560_131, warmup: 16_804, evaluation: 28_007),
            Distillation(size: "1b", rate: 3e-6, batch: 512, steps: 280_066, warmup: 8402, evaluation: 14_004),
        ]
    )
    func distillation(_ expected: Distillation) throws {
        let recipe = try recipe("reranker-distill-\(expected.size).yaml")
        let arguments = recipe.arguments
        #expect(recipe.model == "jhu-clsp/ettin-encoder-\(expected.size)" && recipe.head == .modular)
        #expect(recipe.activation == .identity && recipe.trainData.first?.select == nil)
        #expect(try recipe.losses(labelCount: 1)(nil) is ScoreMSELoss)
        #expect(arguments.learningRate == expected.rate && arguments.trainBatchSize == expected.batch)
        // The training rows of the card.
        let rows = 143_393_475
        let length = try arguments.length(microbatches: (rows - 1) / expected.batch + 1, rows: rows)
        #expect(length.totalSteps == expected.steps && length.warmupSteps == expected.warmup)
        let strategies = try #require(try arguments.trainerSettings(length).strategies)
        #expect("\(strategies.evaluation)" == "steps(\(expected.evaluation))")
        #expect("\(strategies.saving)" == "steps(\(expected.evaluation))" && strategies.totalLimit == 5)
        #expect(arguments.bestMetricKey == "eval_NanoBEIR_R100_mean_ndcg@10" && arguments.usesBFloat16)
        let node = try #require(recipe.evaluator).node
        #expect(node["dataset_names"]?.json.arrayValue?.count == 13)
        #expect(node["always_rerank_positives"]?.json == false)
    }
}

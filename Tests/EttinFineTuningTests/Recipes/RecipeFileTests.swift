import EttinModel
import EttinTraining
import Foundation
import Testing

@testable import EttinFineTuning

@Suite("Recipes of fine-tuning")
struct RecipeFileTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Recipes/finetune").path

    private static let names = Result {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".yaml") }.sorted()
    }

    private func recipe(_ name: String, _ overrides: [String] = []) throws -> EmbeddingRecipe {
        try EmbeddingRecipe(path: "\(Self.folder)/\(name).yaml", overrides: overrides)
    }

    @Test("every recipe parses, with its loss, and nothing in it is without an effect", arguments: try names.get())
    func parse(file: String) throws {
        guard file.hasPrefix("embedding-") else { return }
        let recipe = try recipe(String(file.dropLast(".yaml".count)))
        _ = try recipe.objectives(modelFolder: { $0 })
        #expect(recipe.evaluator != nil)
        #expect(recipe.notices == [])
        #expect(recipe.arguments.outputFolder.hasPrefix("output/"))
    }

    @Test("every recipe of sparse models parses", arguments: try names.get())
    func parseSparse(file: String) throws {
        guard file.hasPrefix("sparse-") else { return }
        let recipe = try SparseRecipe(path: "\(Self.folder)/\(file)")
        let losses = try DatasetLosses(recipe.settings, example: "SpladeLoss") { node, _ in try SparseLosses.make(node)
        }
        #expect(losses.all.allSatisfy { SparseLosses.notices($0).isEmpty })
        #expect(recipe.notices.allSatisfy { $0.hasPrefix("fp16 takes products in bfloat16") })
        #expect(recipe.arguments.outputFolder.hasPrefix("output/"))
    }

    @Test("recipes of classifiers and taggers parse, without notices", arguments: try names.get())
    func parseClassifier(file: String) throws {
        let path = "\(Self.folder)/\(file)"
        guard file.hasPrefix("classifier-") || file.hasPrefix("tagger-") else { return }
        let settings =
            try file.hasPrefix("tagger-") ? TaggerRecipe(path: path).settings : ClassifierRecipe(path: path).settings
        #expect(settings.notices == [] && settings.arguments.loadsBestAtEnd)
        #expect(settings.arguments.outputFolder.hasPrefix("output/"))
        guard settings.arguments.optimizerName == .decoupledAdamW else { return }
        #expect(settings.arguments.beta2 == 0.98 && settings.arguments.epsilon == 1e-6)
    }

    @Test("the model cards' script of sparse models has the arguments of the script")
    func sparseCard() throws {
        let recipe = try SparseRecipe(path: "\(Self.folder)/sparse-nq.yaml")
        let arguments = recipe.arguments
        #expect(recipe.model == "jhu-clsp/ettin-encoder-150m")
        #expect(recipe.languages == ["en"] && recipe.license == "apache-2.0")
        let data = try #require(recipe.trainData.first)
        #expect(data.split == DatasetRecipe.Split(testSize: 1000, seed: 12, rows: 100_000))
        #expect(data.columns == ["query", "answer"] && data.select == nil)
        let objective = try SparseLosses.make(recipe.loss?.node)
        #expect(objective.names == ["SpladeLoss", "SparseMultipleNegativesRankingLoss"])
        #expect(objective.regularization?.queryWeight == 5e-5 && objective.regularization?.documentWeight == 3e-5)
        #expect(arguments.trainBatchSize == 16 && arguments.evaluationBatchSize == 16 && arguments.epochs == 1)
        #expect(arguments.learningRate == 2e-5 && arguments.usesBFloat16 && recipe.batchSampler == .noDuplicates)
        #expect(arguments.evaluationSteps == .count(1000) && arguments.savingSteps == .count(1000))
        #expect(arguments.totalLimit == 2 && arguments.loggingSteps == .count(200))
        let length = try arguments.length(microbatches: (99_000 + 15) / 16, rows: 99_000)
        #expect(length.totalSteps == 6188 && length.warmupSteps == 619)
    }

    @Test("the model cards' script has the arguments of the script")
    func card() throws {
        let recipe = try recipe("embedding-msmarco")
        let arguments = recipe.arguments
        #expect(recipe.model == "jhu-clsp/ettin-encoder-150m")
        let data = try #require(recipe.trainData.first)
        #expect(data.split == DatasetRecipe.Split(testSize: 1000, seed: 12))
        #expect(data.select == 1_250_000 && data.columns == ["query", "positive", "negative"])
        #expect(arguments.trainBatchSize == 512 && arguments.epochs == 1 && arguments.learningRate == 8e-5)
        #expect(arguments.usesBFloat16 && arguments.warmup == .fraction(0.05))
        #expect(recipe.batchSampler == .noDuplicates)
        #expect(arguments.evaluation == .no)
        #expect(arguments.saving == .steps && arguments.savingSteps == .count(500) && arguments.totalLimit == 2)
        // What the specification works out: updates of the one pass, and those of the warm-up.
        let batches = (1_250_000 + 511) / 512
        let length = try arguments.length(microbatches: batches, rows: 1_250_000)
        #expect(length.totalSteps == 2442 && length.warmupSteps == 123)
    }

    @Test("the suite's own training has the defaults of its script", arguments: ["encoder", "decoder"])
    func suite(kind: String) throws {
        let recipe = try recipe("embedding-suite-\(kind)")
        let arguments = recipe.arguments
        #expect(recipe.poolings == (kind == "decoder" ? [.lastToken] : nil))
        #expect(arguments.trainBatchSize == 1024 && arguments.evaluationBatchSize == 128)
        #expect(arguments.evaluation == .steps && arguments.evaluationSteps == .count(50))
        #expect(arguments.savingSteps == .count(50) && arguments.totalLimit == 1 && arguments.loggingSteps == .count(1))
        #expect(arguments.warmup == .fraction(0.05) && arguments.usesBFloat16 && arguments.accumulationSteps == 1)
    }

    @Test("the recipes of multi-vector models parse, and the model cards' script has the arguments of the script")
    func multiVector() throws {
        for file in try Self.names.get() where file.hasPrefix("colbert-") {
            let recipe = try MultiVectorRecipe(path: "\(Self.folder)/\(file)")
            _ = try MultiVectorLosses.make(recipe.loss?.node)
            #expect(recipe.notices == [] && recipe.evaluator != nil && recipe.emptyTexts == .keep)
            #expect(recipe.arguments.outputFolder.hasPrefix("output/"))
        }
        let recipe = try MultiVectorRecipe(path: "\(Self.folder)/colbert-kd-msmarco.yaml")
        let arguments = recipe.arguments
        #expect(recipe.model == "jhu-clsp/ettin-encoder-150m" && recipe.ways == 32 && recipe.embeddingSize == nil)
        #expect(recipe.trainData.map(\.references) == [["lightonai/ms-marco-en-bge:train"]])
        #expect(recipe.trainData[0].name != nil)
        #expect(recipe.queriesData == ["lightonai/ms-marco-en-bge:queries"])
        #expect(recipe.documentsData == ["lightonai/ms-marco-en-bge:documents"])
        #expect(arguments.trainBatchSize == 16 && arguments.accumulationSteps == 1 && arguments.epochs == 1)
        #expect(arguments.learningRate == 8e-5 && arguments.usesBFloat16 && arguments.warmup == .fraction(0.05))
        #expect(arguments.loggingSteps == .count(10) && arguments.evaluation == .no)
        #expect(arguments.saving == .steps && arguments.savingSteps == .count(500) && arguments.totalLimit == nil)
    }
}

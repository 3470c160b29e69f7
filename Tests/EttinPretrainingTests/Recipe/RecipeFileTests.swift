import EttinModel
import EttinRecipes
import EttinTraining
import Foundation
import Testing

@testable import EttinPretraining

/// Files of the repository and of the published recipes.
enum RecipeFiles {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().path

    static let folder = root + "/Recipes"

    /// A folder with the published recipes as they lie in their repository, which are not part of this one.
    static let published = ProcessInfo.processInfo.environment["ETTIN_PUBLISHED_RECIPES"]
}

@Suite("Recipe files")
struct RecipeFileTests {
    private static let numbers = EttinSize.allCases.flatMap { size in
        SuiteFile.Phase.allCases.flatMap { phase in
            [ModelKind.encoder, .decoder].map { PublishedNumbers(size: size, kind: $0, phase: phase) }
        }
    }

    private static func fileName(_ numbers: PublishedNumbers) -> String {
        switch (numbers.phase, numbers.kind) {
        case (.cross, .encoder): "encoder-from-decoder.yaml"
        case (.cross, .decoder): "decoder-from-encoder.yaml"
        case (_, .encoder): "encoder-\(numbers.phase.rawValue).yaml"
        case (_, .decoder): "decoder-\(numbers.phase.rawValue).yaml"
        }
    }

    @Test("our recipes have the numbers of the suite's training", arguments: numbers.indices)
    func ours(index: Int) throws {
        let numbers = Self.numbers[index]
        let path = "\(RecipeFiles.folder)/\(numbers.size.rawValue)/\(Self.fileName(numbers))"
        let recipe = try PretrainingRecipe(path: path)
        try numbers.check(recipe)
        try recipe.checkRunnable()
        #expect(recipe.checkpoints.phase == numbers.phase.tag)
        #expect(recipe.checkpoints.autoresume)
        #expect((recipe.checkpoints.loadPath == nil) == (numbers.phase == .pretrain))
        #expect(recipe.checkpoints.resetTime == (numbers.phase != .pretrain))
        #expect(recipe.checkpoints.restartOverride == (numbers.phase == .decay))
        #expect(recipe.checkpoints.loadWeightsOnly == (numbers.phase == .cross))
        let growth = numbers.growthTokens > 0 ? ["inert: batch_size_warmup_tokens"] : []
        let factor = numbers.phase == .pretrain ? ["inert: scheduler.alpha_f"] : []
        #expect(recipe.notices.count == (growth + factor).count, "\(recipe.notices)")
        for start in growth + factor { #expect(recipe.notices.contains { $0.hasPrefix(start) }) }
    }

    @Test("the laptop's recipes are small and end within minutes' worth of steps", arguments: ["encoder", "decoder"])
    func nano(kind: String) throws {
        var start: Double?
        for file in ["pretrain", "extension", "decay", "from-\(kind == "encoder" ? "decoder" : "encoder")"] {
            let recipe = try PretrainingRecipe(path: "\(RecipeFiles.folder)/nano/\(kind)-\(file).yaml")
            try recipe.checkRunnable()
            #expect(recipe.takesVocabularyFromTokenizer)
            #expect(recipe.model.layerCount == 4)
            #expect(recipe.model.hiddenSize == 128)
            #expect(recipe.model.intermediateSize == 192)
            #expect(recipe.model.attentionHeads == 2)
            let plan = try PretrainingPlan(recipe)
            #expect((1...1500).contains(plan.steps ?? 0))
            start = start ?? plan.rates[1].value
        }
        #expect(start == 3e-3)
    }

    @Test(
        "the published recipes parse as they are and have the suite's numbers",
        .enabled(if: RecipeFiles.published != nil, "ETTIN_PUBLISHED_RECIPES names no folder with the published files"),
        arguments: numbers.indices
    )
    func published(index: Int) throws {
        let numbers = Self.numbers[index]
        let folder = try #require(RecipeFiles.published) + "/pretraining/configs"
        let size = numbers.size.recipeName
        // Cross-objective files are named after what they start from.
        let kind = (numbers.kind == .encoder) == (numbers.phase != .cross) ? "encoder" : "decoder"
        let place =
            switch numbers.phase {
            case .pretrain: "standard/\(size)"
            case .extension: "standard/\(size)/de_decay"
            case .decay: "standard/\(size)/prolong_decay"
            case .cross: "cross-train/\(size)"
            }
        let recipe = try PretrainingRecipe(path: "\(folder)/\(place)/\(kind)_\(size).yaml")
        try numbers.check(recipe)
        #expect(recipe.checkpoints.phase == numbers.phase.tag)
        #expect(recipe.evalInterval == TrainingTime(1e32, .batch))
        #expect(throws: TrainingError.self) { try recipe.checkRunnable() }
        let ours = try PretrainingRecipe(
            path: "\(RecipeFiles.folder)/\(numbers.size.rawValue)/\(Self.fileName(numbers))"
        )
        #expect(recipe.model == ours.model)
        #expect(recipe.schedule == ours.schedule)
        #expect(recipe.optimizer == ours.optimizer)
    }

    @Test("every key of the schema is described in the documentation")
    func documentation() throws {
        let text = try String(contentsOfFile: RecipeFiles.root + "/docs/pretraining.md", encoding: .utf8)
        for section in PretrainingSchema.recipe.sections {
            for key in section.keys where !text.contains("`\(key)`") {
                Issue.record("\(section.path).\(key) is not described")
            }
        }
    }
}

import Foundation
import Testing

@testable import EttinFineTuning

@Suite("Recipes of supervised fine-tuning")
struct SFTRecipeFileTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Recipes/finetune").path

    @Test("The model card's arguments are those of its command", arguments: [false, true])
    func card(isLoRA: Bool) throws {
        let recipe = try SFTRecipe(path: "\(Self.folder)/sft-capybara\(isLoRA ? "-lora" : "").yaml")
        let arguments = recipe.arguments
        #expect(recipe.notices == [] && recipe.settings.notices == [])
        #expect(recipe.trainData.map(\.references) == [["trl-lib/Capybara:train"]])
        #expect(recipe.evaluationData.map(\.references) == [["trl-lib/Capybara:test"]])
        #expect(arguments.learningRate == (isLoRA ? 2e-4 : 2e-5) && arguments.epochs == 1)
        #expect(arguments.trainBatchSize == 2 && arguments.accumulationSteps == 8 && arguments.recomputesLayers)
        #expect(arguments.usesBFloat16 && arguments.evaluationSteps == .count(100))
        #expect(recipe.packing == .bestFit && recipe.endToken == "<|im_end|>")
        #expect((recipe.settings.adapters != nil) == isLoRA)
    }

    @Test("The laptop's recipe parses, and nothing in it is without an effect")
    func laptop() throws {
        let recipe = try SFTRecipe(path: "\(Self.folder)/sft-laptop.yaml")
        #expect(recipe.notices == [] && recipe.settings.notices == [])
        #expect(recipe.packing == .bestFit && recipe.arguments.outputFolder.hasPrefix("output/"))
    }
}

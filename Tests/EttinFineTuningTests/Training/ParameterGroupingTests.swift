import EttinModel
import EttinTraining
import TestSupport
import Testing
import Torch

@testable import EttinFineTuning

@Suite("Groups of parameters")
struct ParameterGroupingTests {
    private func model() throws -> EmbeddingModel {
        let run = try TinyRun()
        let model = try EmbeddingModel(folder: run.folder.file("model"), poolings: nil, dtype: .float32)
        model.setRequiresGradient(true)
        return model
    }

    private let settings = OptimizerSettings(name: .adamW, learningRate: 1e-3, weightDecay: 0.1)

    @Test("Norms and biases do not decay, the embedding does")
    func decay() throws {
        let model = try model()
        let decayed = try ParameterGrouping(model, []).decayed
        #expect(decayed.contains("0.embeddings.tok_embeddings.weight") && decayed.contains("0.layers.1.attn.Wo.weight"))
        for key in [
            "0.embeddings.norm.weight", "0.layers.1.attn_norm.weight", "0.layers.0.mlp_norm.weight",
            "0.final_norm.weight",
        ] {
            #expect(model.parameters.contains { $0.key == key } && !decayed.contains(key), "\(key)")
        }
    }

    @Test("Patterns are searched for in the names of sentence-transformers, and the last match counts")
    func rates() throws {
        let model = try model()
        let rules = [
            TrainingArguments.RateRule(pattern: "layers\\.1\\.", rate: 1e-4),
            TrainingArguments.RateRule(pattern: "^model\\.0\\.model\\.layers\\.1\\.mlp", rate: 1e-5),
        ]
        let parameters = model.trainedParameters
        let optimizer = try ParameterGrouping(model, rules).optimizer(for: parameters, settings)
        func rate(_ key: String) throws -> (Double, Double) {
            let place = try #require(parameters.firstIndex { $0.key == key })
            let group = optimizer.groups.groups[optimizer.groups.membership[place]]
            return (group.learningRate, group.weightDecay)
        }
        #expect(try rate("0.layers.0.attn.Wqkv.weight") == (1e-3, 0.1))
        #expect(try rate("0.layers.1.attn.Wqkv.weight") == (1e-4, 0.1))
        #expect(try rate("0.layers.1.attn_norm.weight") == (1e-4, 0))
        #expect(abs(try rate("0.layers.1.mlp.Wi.weight").0 - 1e-5) < 1e-18)
        #expect(try rate("0.layers.1.mlp_norm.weight").1 == 0)
    }

    @Test("A pattern that is not an expression, or matches nothing, is refused")
    func refusals() throws {
        let model = try model()
        for pattern in ["layers[", "nothing"] {
            #expect(throws: TrainingError.self) {
                try ParameterGrouping(model, [TrainingArguments.RateRule(pattern: pattern, rate: 1)])
            }
        }
    }
}

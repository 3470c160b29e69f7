import EttinConversion
import EttinFiles
import EttinModel
import EttinTokenizer
import EttinTraining
import Foundation
import TestSupport
import Testing
import Torch

@Suite("Checkpoint average")
struct CheckpointAverageTests {
    private func values(_ folder: String) throws -> [String: [Float]] {
        let store = try TensorStore.open(folder: folder)
        return try Dictionary(
            uniqueKeysWithValues: store.names.map { ($0, try store.tensor($0).to(.float32).array()) }
        )
    }

    @Test("Each value is the mean, rounded once", arguments: ModelKind.allCases)
    func mean(kind: ModelKind) throws {
        try withTemporaryFolder { folder in
            let checkpoints = try (1...3).map { seed in
                try TinyModel.write(kind, in: folder, named: "step\(seed)", seed: UInt64(seed))
            }
            let parameters = try CheckpointAverage(checkpoints).write(toFolder: folder.file("mean"))
            let sources = try checkpoints.map(values)
            let average = try values(folder.file("mean"))
            #expect(average.keys == sources[0].keys)
            for (name, result) in average {
                let expected = result.indices.map { index in
                    Float(sources.reduce(0.0) { $0 + Double($1[name]![index]) } / 3)
                }
                #expect(result == expected, "\(name)")
            }
            #expect(parameters == average.values.reduce(0) { $0 + $1.count })
            let model = try LanguageModel.load(folder: folder.file("mean"))
            #expect(model.configuration.kind == kind)
            #expect(try folder.read("mean/tokenizer.json") == folder.read("step3/tokenizer.json"))
            #expect(FilePath.exists(folder.file("mean/generation_config.json")) == (kind == .decoder))
            #expect(FilePath.exists(folder.file("mean/README.md")))
        }
    }

    @Test("The order of the arguments does not matter")
    func order() throws {
        try withTemporaryFolder { folder in
            let checkpoints = try (1...4).map { seed in
                try TinyModel.write(.encoder, in: folder, named: "step\(seed)", seed: UInt64(seed))
            }
            try CheckpointAverage(checkpoints).write(toFolder: folder.file("a"))
            try CheckpointAverage(checkpoints.reversed()).write(toFolder: folder.file("b"))
            #expect(try folder.read("a/model.safetensors") == folder.read("b/model.safetensors"))
        }
    }

    @Test("Checkpoints in bfloat16 are averaged in float32")
    func narrow() throws {
        try withTemporaryFolder { folder in
            let checkpoints = try (1...2).map { seed in
                try TinyModel.write(.encoder, in: folder, named: "step\(seed)", seed: UInt64(seed), dtype: .bfloat16)
            }
            try CheckpointAverage(checkpoints).write(toFolder: folder.file("mean"))
            #expect(try ModernBERTConfiguration(folder: folder.file("mean")).dtype == "float32")
            let key = "head.dense.weight"
            let (first, second) = (try values(checkpoints[0])[key]!, try values(checkpoints[1])[key]!)
            #expect(try values(folder.file("mean"))[key]! == zip(first, second).map { ($0 + $1) / 2 })
        }
    }

    @Test("What is no set of checkpoints of one run is refused, and nothing is written")
    func refused() throws {
        try withTemporaryFolder { folder in
            let first = try TinyModel.write(.encoder, in: folder, named: "step1")
            let deeper = try TinyModel.write(.encoder, in: folder, named: "deeper") {
                $0.layerTypes = LayerType.pattern(layers: 5, globalEvery: 3)
            }
            func message(_ folders: [String]) -> String {
                do {
                    _ = try CheckpointAverage(folders)
                    return ""
                } catch {
                    return "\(error)"
                }
            }
            #expect(message([]) == "average: was given 0 folders; expected two or more checkpoints")
            #expect(message([first]) == "average: was given 1 folder; expected two or more checkpoints")
            #expect(message([first, first]).hasSuffix("step1: is given twice; expected each checkpoint once"))
            #expect(message([first, deeper]).contains("has a different config.json from "))
            #expect(message([first, folder.file("absent")]).contains("absent"))
            try folder.write(folder.read("step1/config.json"), "deeper/config.json")
            #expect(message([first, deeper]).contains("model.layers.4."))
            let second = try TinyModel.write(.encoder, in: folder, named: "step2", seed: 2)
            let module = "sentence_transformers.models"
            try folder.write(
                """
                [{"idx":0,"name":"0","path":"","type":"\(module).Transformer"},
                {"idx":1,"name":"1","path":"1_Pooling","type":"\(module).Pooling"}]
                """,
                "step2/modules.json"
            )
            #expect(message([first, second]).contains("is an embedding model"))
            #expect(throws: CheckpointError.self) { try ModelConversion(folder: second, to: .decoder) }
            try FileManager.default.removeItem(atPath: second)
            #expect(try folder.names == ["deeper", "step1"])
        }
    }
}

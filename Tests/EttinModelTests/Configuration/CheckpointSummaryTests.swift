import EttinModel
import TestSupport
import Testing
import Torch

@Suite("Summaries of checkpoints")
struct CheckpointSummaryTests {
    @Test("Every size is recognised by its shape, whatever its vocabulary", arguments: EttinSize.allCases)
    func sizes(_ size: EttinSize) {
        for kind in ModelKind.allCases {
            var configuration = ModernBERTConfiguration.ettin(size: size, kind: kind)
            configuration.vocabularySize = 1000
            #expect(EttinSize(shapeOf: configuration) == size)
            configuration.hiddenSize += 2
            #expect(EttinSize(shapeOf: configuration) == nil)
        }
        #expect(CheckpointSummary(size: size, kind: .encoder).parameterCount == size.parameterCount)
    }

    @Test("A folder's parameters are counted from its files, a tied matrix once")
    func folder() throws {
        try withTemporaryFolder { folder in
            var configuration = ModernBERTConfiguration(kind: .encoder)
            configuration.vocabularySize = 20
            configuration.padTokenID = nil
            configuration.hiddenSize = 8
            configuration.attentionHeads = 2
            configuration.intermediateSize = 12
            configuration.layerTypes = LayerType.pattern(layers: 2, globalEvery: 2)
            try configuration.write(toFolder: folder.path, format: .version4)
            let bare = try CheckpointSummary(folder: folder.path)
            #expect(!bare.hasWeights)
            #expect(bare.parameterCount == configuration.parameterCount)

            func tensor(_ name: String, _ dtype: StoredDType, _ shape: [Int]) -> TensorToWrite {
                let count = shape.reduce(1, *) * dtype.bitWidth / 8
                return TensorToWrite(name: name, dtype: dtype, shape: shape, bytes: [UInt8](repeating: 0, count: count))
            }
            try SafetensorsWriter.write(
                [
                    tensor("model.embeddings.tok_embeddings.weight", .float32, [20, 8]),
                    tensor("decoder.weight", .float32, [20, 8]), tensor("decoder.bias", .bfloat16, [20]),
                ],
                to: folder.file("model.safetensors")
            )
            let summary = try CheckpointSummary(folder: folder.path)
            #expect(summary.parameterCount == 180)
            #expect(summary.embeddingParameterCount == 160)
            #expect(summary.nonEmbeddingParameterCount == 20)
            #expect(summary.dtypes == [.float32, .bfloat16])
            #expect(summary.files.map(\.name) == ["config.json", "model.safetensors"])
            #expect(summary.size == nil)
        }
    }

    @Test("Broken weights are an error, not a model without weights")
    func broken() throws {
        try withTemporaryFolder { folder in
            try ModernBERTConfiguration(kind: .encoder).write(toFolder: folder.path, format: .version4)
            try folder.write("x", "model.safetensors")
            #expect(throws: CheckpointError.self) { try CheckpointSummary(folder: folder.path) }
        }
    }
}

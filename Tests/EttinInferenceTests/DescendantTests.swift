import EttinJSON
import EttinModel
import Foundation
import TestSupport
import Testing
import Torch

@testable import EttinInference

/// Configurations of Ettin's descendants, from folders to results.
@Suite struct DescendantTests {
    // YaRN on global layers, silu in the MLP, five layers. Values from transformers 5.23.
    @Test(.enabled(if: SharedData.isAvailable, "needs ../shared beside the repository"), arguments: [Pooling.cls, .mean])
    func yarnFolderGivesTheOriginalsVectors(pooling: Pooling) throws {
        let folder = try #require(SharedData.folder) + "/golden/descendants/rope-yarn"
        let expected = try JSONValue(parsing: Array(Data(contentsOf: URL(filePath: folder + "/expected.json"))))
        let texts = try #require(expected["texts"]?.arrayValue).compactMap(\.stringValue)
        let rows = try #require(expected[pooling == .cls ? "cls" : "mean"]?.arrayValue)
        let embeddings = try TextEmbeddingPipeline(folder: folder, pooling: pooling).encode(texts)
        #expect(embeddings.count == rows.count)
        for (index, row) in rows.enumerated() {
            let values = try #require(row.arrayValue).compactMap(\.doubleValue)
            #expect(values.count == embeddings.dimensions)
            for (found, expected) in zip(embeddings[index], values) { #expect(abs(Double(found) - expected) < 1e-4) }
        }
    }

    private func half() throws -> TinyCheckpoint {
        let checkpoint = try TinyCheckpoint(.encoder)
        let model = try LanguageModel.load(folder: checkpoint.folder.path, dtype: .float16)
        try withTemporaryFolder { place in
            try model.save(folder: place.path)
            for name in try place.names { try checkpoint.folder.write(try place.read(name), name) }
        }
        return checkpoint
    }

    @Test func float16IsComputedInFloat32UnlessAskedFor() throws {
        let checkpoint = try half()
        let texts = TinyCheckpoint.texts
        let wide = try checkpoint.loaded { try TextEmbeddingPipeline(folder: $0) }
        #expect(wide.notices == [
            "the weights are float16 and computed in float32; --dtype float16 computes in float16, as stored"
        ])
        let asked = try checkpoint.loaded {
            try TextEmbeddingPipeline(folder: $0, options: ComputeOptions(dtype: .float32))
        }
        #expect(asked.notices == [])
        let expected = try asked.encode(texts)
        #expect(try wide.encode(texts) == expected)
        let stored = try checkpoint.loaded {
            try TextEmbeddingPipeline(folder: $0, options: ComputeOptions(dtype: .float16))
        }
        #expect(stored.notices == [] && stored.model.parameters.allSatisfy { $0.tensor.dtype == .float16 })
        let narrow = try stored.encode(texts)
        let largest = zip(narrow.values, expected.values).map { abs($0 - $1) }.max() ?? 0
        #expect(largest > 1e-6 && largest < 0.05)
        // Of int8, too, the scales are those of the weights in float32.
        let rounded = try checkpoint.loaded {
            try TextEmbeddingPipeline(folder: $0, options: ComputeOptions(dtype: .int8))
        }
        #expect(try rounded.encode(texts).count == texts.count)
        let filled = try checkpoint.loaded { try FillMaskPipeline(folder: $0) }
        #expect(filled.notices == wide.notices)
        #expect(filled.model.trunk.parameterDType == .float32)
    }
}

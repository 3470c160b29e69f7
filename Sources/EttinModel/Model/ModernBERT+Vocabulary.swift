import Torch

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension ModernBERT {
    /// The same transformer with another number of token embeddings.
    ///
    /// Further rows are drawn from a normal distribution with the mean of the others and 10⁻⁹ of their covariance: in
    /// effect they are the mean. The other parameters are shared with this model.
    ///
    /// - Parameters:
    ///   - size: The number of tokens.
    ///   - seed: The random seed.
    /// - Returns: The transformer; this one where nothing changes.
    ///
    /// > Source: transformers 5.3, `PreTrainedModel.resize_token_embeddings`.
    package func withVocabulary(of size: Int, seed: UInt64) -> ModernBERT {
        let count = configuration.vocabularySize
        guard size != count else { return self }
        var resized = configuration
        resized.vocabularySize = size
        let model = ModernBERT(resized, windowRule: windowRule)
        let others = [String: Tensor](parameters.map { ($0.key, $0.tensor) }, uniquingKeysWith: { $1 })
        let rows = embeddings.tokens.weight
        for (key, reference) in model.parameterReferences {
            guard let tensor = others[key] else { continue }
            reference.tensor = tensor
        }
        model.embeddings.tokens.weight = withoutGradients {
            guard size > count else { return rows.narrowed(along: 0, from: 0, count: size).copy() }
            let mean = rows.to(.float32).mean(along: 0, keepingDimensions: true)
            let centred = rows.to(.float32) - mean
            let added = size - count
            let generator = Philox(seed: seed, stream: Self.newRowStream &+ UInt64(count))
            // Of standard normal weights z, Σ zᵢ (xᵢ - mean) / √n has the covariance of the rows.
            let weights = Tensor(generator.normals(count: added * count), shape: [added, count]).to(rows.device)
            let noise = weights.matmul(centred) * (1e-9 / Double(count)).squareRoot()
            return Tensor.concatenate([rows, (noise + mean).to(rows.dtype)])
        }
        return model
    }

    /// Which numbers new rows are drawn from, apart from those of weights.
    private static var newRowStream: UInt64 { 0x4E65_7752_6F77_0000 }
}

extension Philox {
    /// Numbers of the standard normal distribution, by the transformation of Box and Muller.
    fileprivate func normals(count: Int) -> [Float] {
        let uniforms = uniforms(count: (count + 1) / 2 * 2)
        return (0..<count).map { index in
            let radius = (-2 * logf(uniforms[index / 2 * 2])).squareRoot()
            let angle = 2 * Float.pi * uniforms[index / 2 * 2 + 1]
            return radius * (index % 2 == 0 ? cosf(angle) : sinf(angle))
        }
    }
}

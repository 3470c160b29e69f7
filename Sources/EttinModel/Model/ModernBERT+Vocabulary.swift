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
        for (key, reference) in model.parameterReferences {
            guard let tensor = others[key] else { continue }
            reference.tensor = tensor
        }
        model.embeddings.tokens.weight = embeddings.tokens.weight.withVocabularyRows(
            size,
            generator: Philox(seed: seed, stream: Self.newRowStream &+ UInt64(count))
        )
        model.hasNewVocabulary = true
        return model
    }

    /// Which numbers new rows are drawn from, apart from those of weights.
    private static var newRowStream: UInt64 { 0x4E65_7752_6F77_0000 }
}

extension LanguageModel {
    /// Changes the number of tokens: of the embeddings, of the output matrix and of its bias.
    ///
    /// Further rows of a matrix are drawn from a normal distribution with the mean of its others and 10⁻⁹ of their
    /// covariance, so that they are in effect that mean; an output matrix that is the embedding stays it. Further biases
    /// have the mean of the others. Fewer tokens keep the first rows. The configuration follows.
    ///
    /// Adapters are attached afterwards, and parameters whose gradients were recorded are recorded no more.
    ///
    /// - Parameters:
    ///   - size: The new number of tokens, at least 1; `new_num_tokens`.
    ///   - seed: The random seed of new rows.
    ///
    /// > Source: transformers 5.23, `PreTrainedModel.resize_token_embeddings`.
    public func resizeTokenEmbeddings(_ size: Int, seed: UInt64 = 0) {
        precondition(size > 0, "a vocabulary of \(size) tokens")
        precondition(!hasUnmergedAdapters, "a model with adapters cannot be resized; attach them afterwards")
        let count = configuration.vocabularySize
        guard size != count else { return }
        model = model.withVocabulary(of: size, seed: seed)
        let generator = Philox(seed: seed, stream: Self.newOutputStream &+ UInt64(count))
        let resized = VocabularyProjection(configuration)
        resized.weight = decoder.weight?.withVocabularyRows(size, generator: generator)
        resized.bias = decoder.bias?.withVocabularyValues(size)
        decoder = resized
    }

    /// Which numbers new rows of an output matrix of its own are drawn from.
    private static var newOutputStream: UInt64 { 0x4E65_774F_7574_0000 }
}

extension Tensor {
    /// A matrix with another number of rows, further ones near the mean of all.
    ///
    /// - Parameters:
    ///   - size: The new number of rows.
    ///   - generator: The random generator of further ones.
    /// - Returns: A matrix of its own memory.
    fileprivate func withVocabularyRows(_ size: Int, generator: Philox) -> Tensor {
        let count = self.size(0)
        return withoutGradients {
            guard size > count else { return narrowed(along: 0, from: 0, count: size).copy() }
            let mean = self.to(.float32).mean(along: 0, keepingDimensions: true)
            let centred = self.to(.float32) - mean
            let added = size - count
            // Of standard normal weights z, Σ zᵢ (xᵢ - mean) / √n has the covariance of the rows.
            let weights = Tensor(generator.normals(count: added * count), shape: [added, count]).to(device)
            let noise = weights.matmul(centred) * (1e-9 / Double(count)).squareRoot()
            return Tensor.concatenate([self, (noise + mean).to(dtype)])
        }
    }

    /// A vector of another length, further values the mean of all.
    ///
    /// transformers adds noise of 10⁻⁹ standard deviations, which is below the precision of the mean.
    fileprivate func withVocabularyValues(_ size: Int) -> Tensor {
        let count = self.size(0)
        return withoutGradients {
            guard size > count else { return narrowed(along: 0, from: 0, count: size).copy() }
            let mean = self.to(.float32).mean(along: 0, keepingDimensions: true)
            return Tensor.concatenate([self, (Tensor.zeros([size - count]).to(device) + mean).to(dtype)])
        }
    }
}

extension Philox {
    /// Numbers of the standard normal distribution, by the transformation of Box and Muller.
    func normals(count: Int) -> [Float] {
        let uniforms = uniforms(count: (count + 1) / 2 * 2)
        return (0..<count).map { index in
            let radius = (-2 * logf(uniforms[index / 2 * 2])).squareRoot()
            let angle = 2 * Float.pi * uniforms[index / 2 * 2 + 1]
            return radius * (index % 2 == 0 ? cosf(angle) : sinf(angle))
        }
    }
}

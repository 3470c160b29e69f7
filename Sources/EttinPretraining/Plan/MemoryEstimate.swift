import EttinModel
import Torch

/// What a run needs in memory, roughly: what is kept from step to step, and what a microbatch keeps for its gradient.
///
/// Activations are counted by what each layer saves: the residual stream in float32, the results of norms, projections,
/// attention and MLP in the type of the products, and a byte for each dropped value. Libraries, buffers of the
/// allocator and the batches that are prepared ahead come on top.
package struct MemoryEstimate: Hashable, Sendable {
    /// The parameters, in bytes.
    package let weights: Double
    /// Their gradients.
    package let gradients: Double
    /// The optimizer's two moments.
    package let optimizer: Double
    /// What one token of a microbatch keeps.
    package let activationsPerToken: Double
    /// What a microbatch keeps; nil where its size is found at run time.
    package let activations: Double?

    /// Everything that has a number.
    package var total: Double { weights + gradients + optimizer + (activations ?? 0) }

    init(_ recipe: PretrainingRecipe, microbatchTokens: Double?) {
        let parameters = Double(recipe.model.parameterCount)
        weights = 4 * parameters
        gradients = 4 * parameters
        optimizer = 8 * parameters
        let product: Double = recipe.precision == .mixedBFloat16 ? 2 : 4
        let hidden = Double(recipe.model.hiddenSize)
        let intermediate = Double(recipe.model.intermediateSize)
        let layers = Double(recipe.model.layerCount)
        let dropped = recipe.attentionOutputDropout > 0 ? hidden : 0
        let layer = 2 * 4 * hidden + dropped + product * (6 * hidden + 3 * intermediate)
        // Checkpointing keeps the input of each layer, and one layer at a time whole.
        let trunk = recipe.gradientCheckpointing ? layers * 4 * hidden + layer : layers * layer
        let scored: Double =
            switch recipe.objective {
            case .masked(let probability): probability
            case .causal: 1
            }
        // Logits are never kept; of the head remain the inputs of its dense layer, norm and output matrix.
        let head = scored * (4 + 2 * product) * hidden
        activationsPerToken = 4 * hidden + trunk + head
        activations = microbatchTokens.map { $0 * (4 * hidden + trunk + head) }
    }
}

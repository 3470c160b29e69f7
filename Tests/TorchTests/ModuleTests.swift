import Testing
import Torch

@Suite("Modules")
struct ModuleTests {
    private final class Head: Module {
        @Child("dense") var dense: Linear
        @Parameter("scale") var scale: Tensor

        override init() {
            super.init()
            dense = Linear(2, 3, hasBias: true)
            scale = .full([3], 1)
        }
    }

    private final class Model: Module {
        @Child("layers") var layers: [Linear]
        @Child("") var head: Head
        @Child("extra") var extra: Linear?

        override init() {
            super.init()
            layers = (0..<2).map { _ in Linear(2, 2, hasBias: false) }
            head = Head()
            extra = nil
        }
    }

    @Test("keys are the declared ones in order; a part without a key adds nothing to them")
    func keys() throws {
        let model = Model()
        let keys = ["layers.0.weight", "layers.1.weight", "dense.weight", "dense.bias", "scale"]
        #expect(model.parameters.map(\.key) == keys)
        let state = model.parameters.map { ($0.key, Tensor.full($0.tensor.shape, 7)) }
        try model.load(state)
        #expect(try model.head.dense.bias?.array(of: Float.self) == [7, 7, 7])
        #expect(throws: StateDictionaryError.self) { try model.load(state + [("head.scale", .full([3], 1))]) }
    }
}

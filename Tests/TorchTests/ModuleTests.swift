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

    @Test("modules are the whole tree in order of declaration, the model itself under the empty key")
    func modules() {
        let model = Model()
        let modules = model.modules()
        #expect(modules.map(\.key) == ["", "layers.0", "layers.1", "", "dense"])
        #expect(modules[0].module === model && modules[3].module === model.head)
        #expect(modules[4].module === model.head.dense)
    }

    @Test("gradients are switched by key, and what is not meant stays as it is")
    func gradientsByKey() {
        let model = Model()
        model.setRequiresGradient(true) { $0.hasPrefix("dense.") }
        #expect(model.trainedParameters.map(\.key) == ["dense.weight", "dense.bias"])
        model.setRequiresGradient(false) { $0.hasSuffix("bias") }
        #expect(model.trainedParameters.map(\.key) == ["dense.weight"])
        model.setRequiresGradient(true)
        #expect(model.trainedParameters.count == 5)
    }

    @Test("a part put in another's place is found, whichever module of the tree was asked before")
    func changedTrees() {
        let model = Model()
        let before = model.parameters.count
        #expect(model.layers[0].parameters.count == 1)
        model.extra = Linear(1, 1, hasBias: false)
        model.layers[0].attach(LowRankAdapter(2, 2, rank: 1, scale: 1), as: "lora")
        #expect(model.parameters.count == before + 3)
        #expect(model.layers[0].parameters.map(\.key) == ["weight", "lora.A", "lora.B"])
        #expect(model.modules().map(\.key) == ["", "layers.0", "layers.0.lora", "layers.1", "", "dense", "extra"])
        model.layers = []
        #expect(model.parameters.map(\.key) == ["dense.weight", "dense.bias", "scale", "extra.weight"])
    }

    @Test("parts and parameters that were walked are given up with their place in the tree")
    func givenUpParts() {
        let model = Model()
        #expect(model.parameters.count == 5 && model.modules().count == 5)
        weak var layer: Linear?
        weak var reference: ParameterReference?
        (layer, reference) = (model.layers[0], model.parameterReferences[0].reference)
        #expect(layer != nil && reference != nil)
        model.layers = []
        #expect(layer == nil && reference == nil)
    }

    @Test("a model that was walked is given up with its last owner")
    func lifetime() {
        weak var observed: Model?
        do {
            let model = Model()
            observed = model
            #expect(model.modules().count == 5)
        }
        #expect(observed == nil)
    }
}

"""A learned abstraction of any space: an autoencoder with a bottleneck."""

import dataclasses

import jax
import jax.numpy as jnp

from regen_jax.abstractions.bottlenecks.code_noise import with_code_noise
from regen_jax.abstractions.bottlenecks.interface import Bottleneck, Mask
from regen_jax.abstractions.bottlenecks.vq import VectorQuantizer
from regen_jax.abstractions.latent_abstraction import LatentAbstraction
from regen_jax.abstractions.networks.conv2d import Conv2dNetworks
from regen_jax.abstractions.networks.interface import Networks
from regen_jax.interfaces import Generator, Key, LossOutput, RunVariables, Variables
from regen_jax.losses.interface import (
    LossTerm,
    Params,
    check_terms,
    count_step,
    init_terms,
    predict,
    pretrained_terms,
    starts_pretrained,
    total_loss,
)
from regen_jax.losses.squared_error import SquaredError
from regen_jax.networks.perturbation import check_noise
from regen_jax.ranges import NonNegative
from regen_jax.spaces import Array, Category, Space, Tokens, Value, zeros


@dataclasses.dataclass(frozen=True)
class Autoencoder(LatentAbstraction):
    """Networks × bottleneck × losses, trained on Y alone.

    Y′ is what the bottleneck makes of the encoder's latents. Networks, bottleneck and
    losses are independent of one another; the defaults are those of images.

    Variables are `params`, with `encoder`, `decoder` and the parameters of loss terms;
    the collection of the bottleneck; and where loss terms need them `pretrained`, networks
    that stay as they are, and `progress`, the steps until a late start.

    Attributes:
      input_space: the space of Y.
      networks: from Y to latents and back.
      bottleneck: from latents to Y′ and back.
      losses: terms of reconstruction, each with a weight and a first step.
      code_noise: of Y′ where the decoder reads it in training, as `source_noise` of a stage
        is of a decoder that is trained by itself. Gradients to the encoder pass it by.
    """

    input_space: Space
    networks: Networks = dataclasses.field(default_factory=Conv2dNetworks)
    bottleneck: Bottleneck = dataclasses.field(default_factory=VectorQuantizer)
    losses: tuple[LossTerm, ...] = (SquaredError(),)
    code_noise: NonNegative = 0.0

    def __post_init__(self):
        super().__post_init__()
        self.networks.check(self.input_space)
        check_terms(self.losses, self.input_space, self.networks.last_layer)
        check_noise(self.output_space, self.code_noise, "code_noise")

    @property
    def starts_pretrained(self) -> bool:
        return starts_pretrained(self.losses)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Shape of the latents of an example, without their channels."""
        return self.networks.latent_shape(self.input_space)

    @property
    def output_space(self) -> Tokens | Array:
        padded = self.networks.padded(self.input_space)
        return self.bottleneck.output_space(self.latent_shape, padded)

    def init(self, rng: jax.Array, y: Value) -> Variables:
        encoder_rng, decoder_rng, bottleneck_rng, losses_rng = jax.random.split(rng, 4)
        space, networks = self.input_space, self.networks
        x, mask = networks.preprocess(space, y), networks.mask(space, y)
        encoder = networks.encoder(space, self.bottleneck.latent_dim)
        latents, encoder_variables = encoder.init_with_output(
            encoder_rng, *_arguments(x, mask)
        )
        decoder = networks.decoder(space)
        values = jnp.zeros((*latents.shape[:-1], self.bottleneck.value_dim))
        decoder_variables = decoder.init(decoder_rng, *_arguments(values, mask))
        variables = init_terms(self.losses, losses_rng, space)
        params = {
            "encoder": encoder_variables["params"],
            "decoder": decoder_variables["params"],
            **variables["params"],
        }
        state = self.bottleneck.init(bottleneck_rng, _valid_latents(latents, mask))
        return {**variables, "params": params, self.bottleneck.collection: state}

    def pretrained(self, stages: RunVariables) -> Variables:
        return pretrained_terms(self.losses, self.input_space, stages)

    def start_from(self, variables: Variables) -> Variables:
        """Returns networks and bottleneck; networks of images inflate to those of clips."""
        params, collection = variables["params"], self.bottleneck.collection
        networks = {k: params[k] for k in ("encoder", "decoder") if k in params}
        of_images = self.networks.as_image_networks(self.input_space)
        if of_images and _shapes(networks) == self._network_shapes(*of_images):
            networks = self.networks.inflate(self.input_space, networks)
        return {"params": networks, collection: variables.get(collection, {})}

    def encode(self, variables: Variables, y: Value) -> Value:
        latents, mask = self._latents(variables, y)
        codes = self.bottleneck.encode(self._state(variables), latents, mask)
        return self.bottleneck.pack(self.output_space, codes, mask)

    def decode(self, variables: Variables, y_prime: Value) -> Value:
        values, mask = self.values(variables, y_prime)
        prediction = self._decoded(variables["params"]["decoder"], values, mask)
        return self.networks.postprocess(self.input_space, prediction, mask)

    def values(
        self, variables: Variables, y_prime: Value
    ) -> tuple[jax.Array, jax.Array | None]:
        """Returns what the decoder reads of y′: values [B, *latent_shape, D] and mask."""
        codes, mask = self.bottleneck.unpack(
            self.output_space, self.latent_shape, y_prime
        )
        return self.bottleneck.decode(self._state(variables), codes), mask

    def loss(
        self, variables: Variables, keys: jax.Array, y: Value, train: bool
    ) -> LossOutput:
        """Returns the sum of the loss terms and of the bottleneck's own term.

        In training it is that of one segment per example, where the networks have those.
        """
        if train:
            y, keys = self.networks.random_segment(self.input_space, keys, y)
        latents, mask = self._latents(variables, y)
        state = self._state(variables)
        output = self.bottleneck.apply(state, keys, latents, mask, train)
        if train and self.code_noise:
            output = with_code_noise(
                self.bottleneck, state, keys, output, mask, self.code_noise
            )
        terms = self.reconstruction_loss(variables, output.values, mask, y)
        return LossOutput(
            loss=terms.loss + output.loss,
            metrics={
                **terms.metrics,
                **output.metrics,
                "bottleneck_loss": output.loss,
            },
            sums=output.sums,
            per_example=output.per_example,
            weights=terms.weights,
        )

    @property
    def decoder(self) -> "CodeDecoder":
        return CodeDecoder(self.output_space, self.input_space, self)

    def decoder_variables(self, variables: Variables) -> Variables:
        """Returns all variables but the parameters of the encoder."""
        params = {k: v for k, v in variables["params"].items() if k != "encoder"}
        return {**variables, "params": params}

    def reconstruction_loss(
        self, variables: Variables, values: jax.Array, mask: Mask, y: Value
    ) -> LossOutput:
        """Returns the sum of the loss terms of what the decoder makes of values.

        Args:
          variables: with `decoder` and the parameters of loss terms.
          values: f32[B, *latent_shape, D], as the bottleneck gives them.
          mask: of the values.
          y: [B, *input_space.shape], or a segment of it.
        """
        prediction, last_layer = predict(
            self.losses,
            lambda params: self._decoded(params, values, mask),
            variables["params"]["decoder"],
            self.networks.last_layer,
        )
        space = self.input_space
        target = self.networks.target(space, y)
        return total_loss(self.losses, variables, space, prediction, target, last_layer)

    def update(
        self, variables: Variables, rng: jax.Array, loss_output: LossOutput
    ) -> Variables:
        return count_step(super().update(variables, rng, loss_output))

    def _network_shapes(self, space: Space, networks: Networks) -> Params:
        """Returns shapes of the encoder's and decoder's parameters, of other networks."""
        options = {"input_space": space, "networks": networks}
        other = dataclasses.replace(self, losses=(SquaredError(),), **options)
        init = jax.eval_shape(other.init, jax.random.key(0), zeros(space, 1))
        return _shapes({k: init["params"][k] for k in ("encoder", "decoder")})

    def _latents(
        self, variables: Variables, y: Value
    ) -> tuple[jax.Array, jax.Array | None]:
        """Returns latents [B, *latent_shape, D] of y and their mask."""
        space = self.input_space
        x, mask = self.networks.preprocess(space, y), self.networks.mask(space, y)
        encoder = self.networks.encoder(space, self.bottleneck.latent_dim)
        params = {"params": variables["params"]["encoder"]}
        return encoder.apply(params, *_arguments(x, mask)), mask

    def _decoded(
        self, params: Params, values: jax.Array, mask: jax.Array | None
    ) -> jax.Array:
        """Returns the decoder's prediction for values of the bottleneck."""
        decoder = self.networks.decoder(self.input_space)
        return decoder.apply({"params": params}, *_arguments(values, mask))


@dataclasses.dataclass(frozen=True)
class CodeDecoder(Generator):
    """The decoder of an autoencoder, from Y′ to Y, by itself.

    Its variables are `Autoencoder.decoder_variables`; the bottleneck stays as it is.

    Attributes:
      source_space: of Y′.
      target_space: of Y.
      autoencoder: whose decoder it is.
    """

    source_space: Tokens | Array
    target_space: Space
    autoencoder: Autoencoder

    targets = (Category, Tokens, Array)

    def init(self, rng: jax.Array) -> Variables:
        y = zeros(self.target_space, 1)
        variables = self.autoencoder.init(rng, y)
        return self.autoencoder.decoder_variables(variables)

    def loss(
        self, variables: Variables, keys: Key, source: Value, target: Value, train: bool
    ) -> LossOutput:
        """Returns the sum of the autoencoder's loss terms, of whole examples."""
        return self.autoencoder.reconstruction_loss(
            variables, *self.autoencoder.values(variables, source), target
        )

    def sample(self, variables: Variables, keys: jax.Array, source: Value) -> Value:
        return self.autoencoder.decode(variables, source)

    def update(
        self, variables: Variables, rng: jax.Array, loss_output: LossOutput
    ) -> Variables:
        return count_step(variables)


def _arguments(x: jax.Array, mask: jax.Array | None) -> tuple[jax.Array, ...]:
    """Returns the arguments of a module, a mask among them where latents are padded."""
    return (x,) if mask is None else (x, mask)


def _shapes(params: Params) -> Params:
    return jax.tree.map(lambda leaf: leaf.shape, params)


def _valid_latents(latents: jax.Array, mask: jax.Array | None) -> jax.Array:
    """Returns latents [N, D] to start from: each example's own in place of its padding."""
    if mask is not None:
        number = jnp.maximum(mask.sum(axis=1), 1)
        index = jnp.arange(latents.shape[1]) % number[:, None]
        latents = jnp.take_along_axis(latents, index[..., None], axis=1)
    return latents.reshape(-1, latents.shape[-1])

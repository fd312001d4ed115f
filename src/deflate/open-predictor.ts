import { ChainPredictor } from './chain-predictor.ts';
import type { Model } from './model.ts';
import type { Plain } from './plain.ts';
import type { Predictor } from './predictor.ts';
import { SpeedPredictor } from './speed-predictor.ts';

export const openPredictor = (plain: Plain, model: Model): Predictor =>
  model.hash === 'table' ? new SpeedPredictor(plain, model) : new ChainPredictor(plain, model);

import { testStorage } from '../../src/testing/index.ts';
import { drivers } from './drivers.ts';

for (const driver of drivers) testStorage(driver);
